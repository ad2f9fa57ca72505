"""Inference without threads: a batch is done after a drawn number of looks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from tests.simulation.log import Crash
from tests.simulation.stream import fatal_contents
from worker.core.ports import EmbeddingCache, Telemetry
from worker.pipeline import Pipeline
from worker.runtime.encoding import Encoding
from worker.runtime.gate import held_by
from worker.runtime.hearing import Hearing
from worker.runtime.inference import QUEUE_BATCHES, Batch, Inference, Result


class InlineInference(Inference):
    """The real decoding, cache checks, encoding and fusion, done within `completed`."""

    def __init__(
        self,
        pipeline: Pipeline,
        cache: EmbeddingCache,
        telemetry: Telemetry,
        looks: Callable[[], int],
    ) -> None:
        self._pipeline = pipeline
        self._cache = cache
        self._telemetry = telemetry
        self._hearing = Hearing(pipeline, cache, telemetry)
        self._encoding = Encoding(pipeline, telemetry, {})
        self._for_each = map
        self._looks = looks
        self._batches: deque[Batch] = deque()
        self._left = 0

    def submit(self, batch: Batch) -> None:
        assert self.has_room, "submitted without room"
        if not self._batches:
            self._left = self._looks()
        self._batches.append(batch)

    @property
    def has_room(self) -> bool:
        return len(self._batches) < 2 * QUEUE_BATCHES

    @property
    def waiting(self) -> dict[str, int]:
        return {"decode": len(self._batches), "encode": 0}

    @property
    def in_flight(self) -> int:
        return len(self._batches)

    def completed(self, timeout: float = 0) -> list[Result]:
        results = []
        while self._batches and self._left <= 0:
            results.append(self._worked_on(self._batches.popleft()))
            self._left = self._looks()
        self._left -= 1
        return results

    def close(self) -> bool:
        self._batches.clear()
        return True

    def _worked_on(self, batch: Batch) -> Result:
        events = [event for moment in batch.moments for event in held_by(moment)]
        if any(event.payload in fatal_contents().values() for event in events):
            raise Crash
        prepared = self._prepared(batch.moments, batch.references, map)
        return Result(batch.label, tuple(self._embedded(prepared, batch.references)))
