"""One worker of the simulation, from joining the group to its end; and the parts all share."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import Any, cast
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from tests.runtime.builders import AtOnce
from tests.simulation.cache import FaultyCache
from tests.simulation.inline import InlineInference
from tests.simulation.log import GROUP, SimInput, SimLog, SimOutbox
from tests.simulation.people import FEEDBACK
from tests.simulation.plan import Fusions, Plan, settings
from tests.simulation.small import shrink
from tests.simulation.stream import TOPICS
from tests.simulation.telemetry import Counts
from worker.adapters.memory_ports import MemoryStateLog
from worker.core.events import MODALITIES, PAIRS, Modality
from worker.core.ports import Telemetry
from worker.models.fusion.joining import Features, Joined, Vectors
from worker.pipeline import Pipeline
from worker.runtime import assemble, clock
from worker.runtime.assemble import build_pipeline, worker_rules
from worker.runtime.worker import Ports, Worker

SIDE = 8  # pixels
DIM = 16  # of embeddings: nothing that is simulated depends on it


class TinyEncoder:
    """Equal content, equal vector: one coordinate and its neighbour, by the content's sum."""

    def __init__(self, modality: Modality) -> None:
        self.modality = modality
        self.dim = DIM
        self.input_size = SIDE
        self.name = f"tiny-{modality}"
        self.digest = self.name

    def encode(self, batch: list[object]) -> NDArray[np.float16]:
        rows = np.zeros((len(batch), DIM), np.float16)
        for row, content in zip(rows, batch, strict=True):
            data = content.encode() if isinstance(content, str) else np.asarray(content).tobytes()
            place = int(np.frombuffer(data, np.uint8).sum()) % DIM
            row[place], row[place - 1] = 0.8, 0.6
        return rows


class TinyFusion:
    """What a bundle is here: a sum, and whether two modalities have the same vector.

    It sees what the fusion that is shipped does not: which is why its decisions are other ones.
    """

    dim = DIM
    pairs = ("frame-caption", "frame-audio")

    def __init__(self, number: int) -> None:
        self.digest = f"tiny-fusion-{number}"
        self._number = number

    def join(self, rows: Sequence[Vectors], features: Sequence[Features]) -> list[Joined]:
        return [self._joined(row) for row in rows]

    def _joined(self, row: Vectors) -> Joined:
        whole = sum((row[each] for each in sorted(row)), np.zeros(DIM, np.float32))
        both = {name: PAIRS[name] for name in self.pairs if set(PAIRS[name]) <= row.keys()}
        return Joined(
            vector=np.roll(whole, self._number * len(row)),
            weights=dict.fromkeys(MODALITIES, 1.0),
            agreement={name: float(row[one] @ row[other]) for name, (one, other) in both.items()},
        )


class TinySpeech:
    """Somebody speaks in some of the clips; which, and what is said, follows from their content."""

    name = digest = "tiny-speech"

    def spoken(self, clip: NDArray[np.float32]) -> NDArray[np.float32] | None:
        return clip if _kind(clip) in _SAID else None

    def text(self, speech: NDArray[np.float32]) -> str:
        text = _SAID[_kind(speech)]
        if text is None:
            raise ValueError("it does not understand that")
        return text


_SAID = {0: "somebody calls for help", 3: None, 4: "good morning", 7: ""}


def _kind(clip: NDArray[np.float32]) -> int:
    return zlib.crc32(clip.tobytes()) % 8


@cache
def shared_pipeline(fusions: Fusions) -> Pipeline:
    """Return the real pipeline with small matrices; it holds no state, so all seeds share it."""
    shrink()
    encoders = {each: TinyEncoder(each) for each in MODALITIES}
    live, tried = (TinyFusion(number) if number else None for number in fusions)
    with patch.object(assemble, "fusion_of", lambda fusion, *_: fusion):  # it is no bundle
        return build_pipeline(
            settings(False), encoders, cast(Any, live), speech=TinySpeech(), shadow=tried
        )


class Member:
    """A running worker with its ports.

    `now` is the time in microseconds, of which its own wall clock is `skew` ahead. `process` names
    it and the sessions of its process before this one.
    """

    def __init__(
        self,
        name: str,
        log: SimLog,
        plan: Plan,
        random: Random,
        embeddings: FaultyCache,
        now: Callable[[], int],
        process: str,
        drains: bool,
        skew: int,
    ) -> None:
        self.name = name
        self.process = process
        self.skew = skew
        self.slow = False
        self.frozen_until = 0
        self.counts = Counts()
        topics = (*TOPICS.values(), *([FEEDBACK] if plan.hears else []))
        self.input = SimInput(log, topics, random, plan.max_fetch, process)
        self.outbox = SimOutbox(log, random)
        self._random = random
        telemetry = cast(Telemetry, self.counts)
        pipeline = shared_pipeline(plan.fusion)
        inference = InlineInference(pipeline, embeddings, telemetry, self._looks)
        self.worker = Worker(
            Ports(
                log=self.input,
                state=MemoryStateLog(log, GROUP),
                outbox=self.outbox,
                telemetry=telemetry,
                now=clock.steady_clock(lambda: 1000 * (now() + self.skew), lambda: 1000 * now()),
                background=AtOnce(),
            ),
            inference,
            worker_rules(plan.settings, pipeline, plan.partitions, {}, hears=plan.hears),
            drains=drains,
        )

    def leave(self) -> None:
        """End the session as the service does."""
        self.worker.discard()
        self.outbox.close(0)
        self.input.close()

    def _looks(self) -> int:
        return self._random.choice((4, 12, 30) if self.slow else (0, 0, 1, 3))
