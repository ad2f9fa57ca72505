"""What the log says: inputs, and the outputs that each of them is in."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.log import GROUP, SimLog
from tests.simulation.people import FEEDBACK
from tests.simulation.stream import TOPICS
from worker.core.caution import Attempts
from worker.core.events import Record
from worker.core.ports import TopicPartition
from worker.runtime.state_records import read_stored

Place = tuple[str, int, int]  # topic, partition, offset
Document = dict[str, Any]


@dataclass
class Reading:
    """The log at rest. `ends` says of each input where it ended, with what a copy of it shares."""

    inputs: dict[Place, Record] = field(default_factory=dict)
    observations: list[Document] = field(default_factory=list)
    alerts: list[Document] = field(default_factory=list)
    words: dict[Place, Record] = field(default_factory=dict)  # feedback, which ends in `heeded`,
    heeded: list[str] = field(default_factory=list)  # by the id of what was said,
    waiting: list[str] = field(default_factory=list)  # in a state, or as a dead letter
    refused: dict[Place, tuple[str, ...]] = field(default_factory=dict)
    given_up: dict[Place, int] = field(default_factory=dict)  # quarantined, and when
    attempts: list[tuple[int, Attempts]] = field(default_factory=list)  # by partition index
    ends: dict[Place, list[str]] = field(default_factory=lambda: defaultdict(list))
    uncommitted: list[str] = field(default_factory=list)


def read(log: SimLog) -> Reading:
    """Read everything that a `read_committed` reader sees."""
    found = Reading(
        observations=[_document(record) for record in log.read_all("observations")],
        alerts=[_document(record) for record in log.read_all("alerts")],
    )
    for topic in sorted(TOPICS.values()):
        for record in log.read_all(topic):
            found.inputs[topic, record.partition, record.offset] = record
    for record in log.read_all(FEEDBACK):
        found.words[FEEDBACK, record.partition, record.offset] = record
    found.waiting = list(_waiting(log))
    for seen in found.observations:
        found.heeded += [one["id"] for one in seen.get("feedback", ())]
        for one in seen["inputs"]:
            if not one.get("carried"):
                place = (one["topic"], one["partition"], one["offset"])
                found.ends[place].append(f"observation {seen['observation_id']}")
    for topic, prefix, last in (
        ("dead-letters", "error", "reason"),
        ("late-events", "late", "watermark"),
    ):
        for record in log.read_all(topic):
            named = {key: (value or b"").decode(errors="replace") for key, value in record.headers}
            part = {
                key: named[f"mmworker.{prefix}.{key}"] for key in ("topic", "partition", "offset")
            }
            place = (part["topic"], int(part["partition"]), int(part["offset"]))
            found.ends[place].append(topic)
            found.refused[place] = (topic, named[f"mmworker.{prefix}.{last}"])
            if named.get("mmworker.error.reason") == "quarantined":
                found.given_up[place] = record.timestamp
    found.uncommitted = _uncommitted(log)
    found.attempts = list(_attempts(log))
    return found


def _waiting(log: SimLog) -> Iterator[str]:
    records = log.read_all("snapshots")
    for each in read_stored((record.key or b"", record.value) for record in records).sources:
        yield from (one.feedback.message_id for one in each.state.said)


def _attempts(log: SimLog) -> Iterator[tuple[int, Attempts]]:
    for record in log.indices:
        index = read_stored([(record.key or b"", record.value)]).index
        if index is not None:
            yield record.partition, index.attempts


def identity(record: Record) -> tuple[object, ...]:
    """Return what two copies of an event have in common."""
    headers = dict(record.headers)
    return record.key, headers.get("ce_type"), headers.get("ce_id")


def _document(record: Record) -> Document:
    document: Document = json.loads(record.value or b"{}")
    return document


def inputs(log: SimLog) -> list[TopicPartition]:
    """Return the partitions of all that is read."""
    return [
        TopicPartition(topic, index)
        for topic in (*TOPICS.values(), FEEDBACK)
        for index in range(log.topics[topic])
    ]


def held(log: SimLog) -> list[str]:
    """Return what is not in outputs: not committed to its end, or held or carried by a state."""
    found = _uncommitted(log)
    records = log.read_all("snapshots")
    for each in read_stored((record.key or b"", record.value) for record in records).sources:
        state, pairing = each.state, each.state.pairing
        if state.held or (pairing is not None and pairing.carried is not None):
            found.append(f"{state.source} holds {state.held or pairing}")
    return found


def _uncommitted(log: SimLog) -> list[str]:
    offsets = {each: at.offset for each, at in log.group(GROUP).offsets.items()}
    return [
        f"{each.topic}-{each.partition} at {offsets.get(each, 0)} of {log.end(each)}"
        for each in inputs(log)
        if offsets.get(each, 0) != log.end(each)
    ]
