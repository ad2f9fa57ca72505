"""People who look at the alerts that are there, and say something; not all of it makes sense."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from tests.simulation.log import SimLog
from worker.core.messages import Feedback, output_headers, to_json
from worker.core.messages.feedback import Label
from worker.core.partitioner import partition_for
from worker.core.ports import Output

FEEDBACK = "feedback"
_LABELS: tuple[Label, ...] = ("normal", "normal", "normal", "anomaly", "anomaly", "unsure")
_NOBODY = "/cameras/nobody"
Document = dict[str, Any]


def word(rng: Random, log: SimLog, now: int) -> Output:
    """Return what somebody says at `now`, microseconds, about one of the newest alerts."""
    records = log.read_all("alerts")[-12:]
    seen: list[Document] = [json.loads(record.value or b"{}") for record in records]
    nothing: Document = {"source": "/cameras/0", "alert_id": "0" * 32}
    alert = rng.choice(seen) if seen else nothing
    source, draw = alert["source"], rng.random()
    named: dict[str, str] = {"alert_id": alert["alert_id"]}
    if draw < 0.1:
        named = {"alert_id": f"{rng.getrandbits(128):032x}"}
    elif draw < 0.2 and seen:
        named = {"observation_id": alert["evidence"]["observation_id"]}
    elif draw < 0.23:
        source = _NOBODY
    label: Label = "learn_anew" if rng.random() < 0.08 else rng.choice(_LABELS)
    said = Feedback(source, label, now, author=f"{rng.getrandbits(32):x}", **named)
    value = to_json(said) if rng.random() > 0.05 else b"{"
    headers = output_headers("feedback", said.message_id, source, now, None)
    key = source.encode()
    partition = partition_for(key, log.topics[FEEDBACK], "murmur2")
    return Output(FEEDBACK, key, value, headers, partition)
