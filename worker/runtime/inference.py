"""Decode and encode away from the poll loop: two stages in threads, joined by short queues.

Batches leave in the order in which they came. Every queue has a bound; a full one says so, and the
poll loop then keeps its Moments and pauses partitions.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from worker.core.events import MODALITIES, Modality
from worker.core.moment import Moment
from worker.core.ports import EmbeddingCache, Telemetry
from worker.core.references import References
from worker.core.tracing import BatchSpan, Tracer, Untraced
from worker.errors import FailedRunError
from worker.pipeline import Pipeline, Vectors
from worker.runtime.daemon_pool import DaemonPool
from worker.runtime.encoding import Encoding
from worker.runtime.hearing import Hearing
from worker.stages import Embedded, Prepared

QUEUE_BATCHES = 2  # batches that wait in front of a stage
VECTOR_BYTES = 2  # float16
CLOSE_SECONDS = 5.0  # for each stage; the threads are daemons
STUCK_SECONDS = 300.0  # in which no batch comes out of the stages, although there are some in them


@dataclass(frozen=True, slots=True)
class Batch:
    """Moments that go through the stages together. `label` is the caller's own.

    `references` are those of each Moment's partition index; without any, Moments know of no other.
    """

    label: Any
    moments: tuple[Moment, ...]
    references: tuple[References, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """A batch with its Moments embedded, in the same order."""

    label: Any
    embedded: tuple[Embedded, ...]


@dataclass(frozen=True, slots=True)
class _Queued:
    label: Any
    content: Sequence[Any]
    references: Sequence[References]
    since: float
    span: BatchSpan


class Inference:
    """Runs a Pipeline in threads of its own. `submit` and `completed` belong to one thread."""

    def __init__(
        self,
        pipeline: Pipeline,
        cache: EmbeddingCache | None,
        telemetry: Telemetry,
        decode_threads: int,
        devices: Mapping[Modality, str] | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._cache = cache
        self._telemetry = telemetry
        self._hearing = Hearing(pipeline, cache, telemetry)
        self._encoding = Encoding(pipeline, telemetry, devices or {})
        self._tracer = tracer or Untraced()
        self._pool = DaemonPool(decode_threads, "decode")
        self._encoders = DaemonPool(len(MODALITIES), "encoder")
        self._for_each: Callable[..., Iterable[Any]] = self._encoders.map
        self._to_decode: queue.Queue[_Queued | None] = queue.Queue(QUEUE_BATCHES)
        self._to_encode: queue.Queue[_Queued | None] = queue.Queue(QUEUE_BATCHES)
        self._done: queue.SimpleQueue[Result | BaseException] = queue.SimpleQueue()
        self._in_flight = 0
        self._progress = 0.0  # when a batch came out last, or into empty stages
        self._is_closed = False
        self._threads = [
            threading.Thread(target=self._run, args=args, name=args[0], daemon=True)
            for args in (
                ("decode", self._to_decode, self._decode),
                ("encode", self._to_encode, self._encode),
            )
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, batch: Batch) -> None:
        """Begin to work on a batch. Raises queue.Full where `has_room` is false."""
        events = [event for moment in batch.moments for event in moment.events]
        traceparents = {event.traceparent for event in events if event.traceparent}
        span = self._tracer.batch(len(batch.moments), len(events), traceparents)
        references = _references(batch)
        queued = _Queued(batch.label, batch.moments, references, time.monotonic(), span)
        self._to_decode.put_nowait(queued)
        if not self._in_flight:
            self._progress = time.monotonic()
        self._in_flight += 1

    @property
    def has_room(self) -> bool:
        """Whether `submit` would take a batch now."""
        return not self._to_decode.full()

    @property
    def waiting(self) -> dict[str, int]:
        """The batches that wait in front of each stage."""
        return {"decode": self._to_decode.qsize(), "encode": self._to_encode.qsize()}

    @property
    def in_flight(self) -> int:
        """Batches submitted and not returned by `completed`."""
        return self._in_flight

    def completed(self, timeout: float = 0) -> list[Result]:
        """Return the finished batches; wait up to `timeout` seconds for the first one.

        Raises what a stage raised: nothing after it can be right. Raises FailedRunError where a
        stage hangs.
        """
        results: list[Result] = []
        while True:
            try:
                wait = timeout > 0 and not results
                result = self._done.get(block=wait, timeout=timeout if wait else None)
            except queue.Empty:
                self._check_progress()
                return results
            if isinstance(result, BaseException):
                raise result
            self._progress = time.monotonic()
            self._in_flight -= 1
            results.append(result)

    def close(self) -> bool:
        """Drop what waits and end the threads; return whether they have ended.

        One that hangs in a library is left behind.
        """
        self._is_closed = True
        while True:
            try:
                self._to_decode.get_nowait()
            except queue.Empty:
                break
        self._to_decode.put(None)
        for thread in self._threads:
            thread.join(CLOSE_SECONDS)
        for pool in (self._pool, self._encoders):
            pool.close()
        return not any(thread.is_alive() for thread in self._threads)

    def _check_progress(self) -> None:
        if self._in_flight and time.monotonic() - self._progress > STUCK_SECONDS:
            raise FailedRunError(
                f"decoding or encoding hangs: nothing has come of it for {STUCK_SECONDS:.0f} s"
            )

    def _run(
        self, stage: str, inbox: queue.Queue[_Queued | None], work: Callable[[_Queued], None]
    ) -> None:
        while (queued := inbox.get()) is not None:
            if self._is_closed:
                continue
            self._telemetry.queue(stage, inbox.qsize(), time.monotonic() - queued.since)
            try:
                work(queued)
            except BaseException as error:
                queued.span.end(type(error).__name__)
                self._done.put(error)
        if inbox is self._to_decode:
            self._to_encode.put(None)

    def _decode(self, queued: _Queued) -> None:
        with self._timed("decode"):
            prepared = self._prepared(queued.content, queued.references, self._pool.map)
        self._to_encode.put(replace(queued, content=prepared, since=time.monotonic()))

    def _encode(self, queued: _Queued) -> None:
        embedded = self._embedded(queued.content, queued.references)
        queued.span.end()
        self._done.put(Result(queued.label, tuple(embedded)))

    def _prepared(
        self, moments: Sequence[Moment], references: Sequence[References], each: Callable[..., Any]
    ) -> list[Prepared]:
        """Prepare Moments: `each` calls a function for all of them, as `map` does."""
        looked = each(self._pipeline.look, moments, references)
        chosen = list(map(self._pipeline.choose, list(looked), references))
        return list(each(self._pipeline.complete, chosen))

    def _embedded(
        self, prepared: Sequence[Prepared], references: Sequence[References]
    ) -> list[Embedded]:
        prepared = self._hearing.heard(prepared)
        vectors = dict(self._vectors(prepared))
        for one, known in zip(prepared, references, strict=True):
            vectors |= known.vectors(one.moment.source)
        with self._timed("fuse"):
            embedded = self._pipeline.fuse(prepared, vectors)
        for each, known in zip(embedded, references, strict=True):
            known.keep(each.remembered)
        return embedded

    def _vectors(self, prepared: Sequence[Prepared]) -> Vectors:
        wanted = self._pipeline.wanted(prepared)
        vectors = self._remembered(wanted)
        unknown = {
            modality: {key: item for key, item in contents.items() if key not in vectors}
            for modality, contents in wanted.items()
        }
        with self._timed("encode"):
            fresh = self._fresh({each: items for each, items in unknown.items() if items})
        if self._cache is not None and fresh:
            self._cache.put_many({key: vector.tobytes() for key, vector in fresh.items()})
        return vectors | fresh

    def _fresh(self, unknown: Mapping[Modality, dict[bytes, Any]]) -> dict[bytes, Any]:
        """Let each modality's encoder work by itself; none has to wait for another one."""
        parts = self._for_each(self._encoding.vectors, unknown.keys(), unknown.values())
        return {key: vector for part in parts for key, vector in part.items()}

    def _remembered(self, wanted: dict[Modality, dict[bytes, Any]]) -> dict[bytes, Any]:
        """Return the valid vectors that the cache has; anything else is a miss."""
        if self._cache is None:
            return {}
        dims = {
            key: self._pipeline.encoders[modality].dim
            for modality in MODALITIES
            for key in wanted[modality]
        }
        known: dict[bytes, Any] = {}
        for key, value in zip(dims, self._cache.get_many(list(dims)), strict=True):
            if value is None or len(value) != dims[key] * VECTOR_BYTES:
                continue
            vector = np.frombuffer(value, dtype=np.float16)
            exact = vector.astype(np.float32)
            if np.isfinite(exact).all() and abs(float(np.linalg.norm(exact)) - 1) < 0.01:
                known[key] = vector
        return known

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._telemetry.stage(stage, time.monotonic() - began)


def _references(batch: Batch) -> tuple[References, ...]:
    return batch.references or tuple(References() for _ in batch.moments)
