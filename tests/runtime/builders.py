"""A whole worker over the in-memory log, with small honest encoders and a clock set by hand."""

from __future__ import annotations

import hashlib
import io
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.adapters.memory_ports import MemoryInputLog, MemoryOutbox, MemorySink, MemoryStateLog
from worker.adapters.prometheus import Metrics
from worker.config import Config, load
from worker.core.events import MODALITIES, Modality
from worker.core.messages import (
    Feedback,
    Label,
    Observation,
    output_headers,
    read_observation,
    to_json,
)
from worker.core.ports import (
    Committed,
    CommitUnit,
    EmbeddingCache,
    LogError,
    Outbox,
    Output,
    Ownership,
    ProcessMemory,
    Telemetry,
    TopicPartition,
    UnwatchedMemory,
)
from worker.core.rfc3339 import seconds
from worker.demo.embedded import VirtualClock, memory_log
from worker.demo.tally import Tally, read_tally
from worker.feed.events import FeedEvent, to_output
from worker.models.base import Encoder, SpeechToText
from worker.pipeline import Pipeline
from worker.runtime.assemble import build_pipeline, worker_rules
from worker.runtime.drain import Drained
from worker.runtime.inference import Inference
from worker.runtime.topics import topic_of_modality
from worker.runtime.worker import Ports, Worker

START = seconds(1_750_000_000)
GROUP = "mmworker"
PATIENCE = 60.0  # seconds, more than any test needs even on a busy machine: one that hangs fails
Place = tuple[str, int, int]  # topic, partition, offset

_TYPES = {
    Modality.FRAME: "image/png",
    Modality.CAPTION: "text/plain",
    Modality.AUDIO: "audio/L16;rate=16000",
}
_numbers = itertools.count()


class HashEncoder:
    """An honest encoder: equal content, equal vector. One coordinate is 1, so sums are exact."""

    def __init__(self, modality: Modality, dim: int = 64) -> None:
        self.modality = modality
        self.dim = dim
        self.input_size = 224
        self.name = f"hash-{modality}"
        self.digest = hashlib.sha256(self.name.encode()).hexdigest()
        self.encoded = 0

    def encode(self, batch: Any) -> NDArray[np.float16]:
        rows = np.zeros((len(batch), self.dim), np.float16)
        for row, content in zip(rows, batch, strict=True):
            data = content.encode() if isinstance(content, str) else content.tobytes()
            row[int.from_bytes(hashlib.sha256(data).digest()[:4], "big") % self.dim] = 1
        self.encoded += len(batch)
        return rows


class GatedEncoder(HashEncoder):
    """Works only while its gate is open."""

    def __init__(self, modality: Modality) -> None:
        super().__init__(modality)
        self.gate = threading.Event()

    def encode(self, batch: Any) -> NDArray[np.float16]:
        assert self.gate.wait(30)
        return super().encode(batch)


def encoders(**changes: Encoder) -> dict[Modality, Encoder]:
    return {modality: changes.get(modality.value, HashEncoder(modality)) for modality in MODALITIES}


def config(**changes: object) -> Config:
    """Return the defaults with changes such as `pairing__grace_seconds=1`.

    What is done of a Moment does not hang on how long it waits, but where a test says so.
    """
    values = {"models.overload": "off"} | {
        key.replace("__", "."): value for key, value in changes.items()
    }
    return load(None, {}, values).config


@cache
def picture(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 12), (shade % 256, 255 - shade % 256, 90)).save(buffer, "PNG")
    return buffer.getvalue()


@cache
def shapes() -> bytes:
    """Return a picture with something in it, where the others have one colour."""
    buffer, image = io.BytesIO(), Image.new("RGB", (16, 12))
    image.paste((255, 255, 255), (0, 0, 6, 8))
    image.save(buffer, "PNG")
    return buffer.getvalue()


@cache
def hum(level: int) -> bytes:
    return (np.sin(np.arange(1600) / 8) * (1000 + 40 * (level % 100))).astype(">i2").tobytes()


def event(
    modality: str,
    at: float,
    source: str = "/cameras/a",
    *,
    name: str | None = None,
    payload: bytes | None = None,
    correlation: str | None = None,
) -> FeedEvent:
    """Return an event `at` seconds after START."""
    kind = Modality(modality)
    number = int(at * 10)
    return FeedEvent(
        source=source,
        modality=kind,
        id=name or f"{modality}-{at:g}-{next(_numbers)}",
        time=START + seconds(at),
        content_type=_TYPES[kind],
        payload=_usual(kind, number) if payload is None else payload,
        correlation_id=correlation,
    )


def _usual(kind: Modality, number: int) -> bytes:
    match kind:
        case Modality.FRAME:
            return picture(number)
        case Modality.AUDIO:
            return hum(number)
        case Modality.CAPTION:
            return f"a quiet street {number}".encode()


def footage(until: int, source: str = "/cameras/a", *, captions: bool = True) -> list[FeedEvent]:
    """Return a frame and a clip per second, and a caption every fourth, in time order."""
    found = []
    for second in range(until):
        found += [event("frame", second, source), event("audio", second, source)]
        if captions and second % 4 == 0:
            found.append(event("caption", second + 0.5, source))
    return sorted(found, key=lambda one: one.time)


def in_time_order(*streams: Iterable[FeedEvent]) -> list[FeedEvent]:
    return sorted((one for stream in streams for one in stream), key=lambda one: one.time)


class AtOnce(Executor):
    """Does what it is given within `submit`."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class CheckedOutbox:
    """A MemoryOutbox; its world looks at the log after each commit. It can be made to fail once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._outbox = MemoryOutbox(world.log, GROUP)
        self.units: list[CommitUnit] = []
        self.fail_next = False

    def submit(self, unit: CommitUnit, ownership: Ownership) -> Future[None]:
        if self.fail_next:
            self.fail_next = False
            failed: Future[None] = Future()
            failed.set_exception(LogError("commit_failed", "the broker went away", retriable=True))
            self._outbox.close(0)
            return failed
        self.units.append(unit)
        future = self._outbox.submit(unit, ownership)
        self._world.check_offsets()
        return future

    def close(self, timeout: float) -> None:
        self._outbox.close(timeout)


@dataclass
class Member:
    """A running worker, and what a test may want to look at."""

    worker: Worker
    inference: Inference
    metrics: Metrics
    log: MemoryInputLog
    outbox: CheckedOutbox

    def run(self) -> None:
        """Step until nothing is left to do without new records."""
        deadline = time.monotonic() + PATIENCE
        while self.worker.step():
            assert time.monotonic() < deadline, "the worker does not come to rest"
            time.sleep(0)  # let the stages have the processor

    def tally(self) -> Tally:
        return read_tally(self.metrics.render("")[0].decode())

    def metric(self, name: str, **labels: str) -> float:
        found = self.metrics.registry.get_sample_value(f"mmworker_{name}", labels)
        assert found is not None, name
        return found

    def drain(self) -> Drained:
        """Step until all is drained, and leave."""
        deadline = time.monotonic() + PATIENCE
        while (drained := self.worker.drained) is None:
            self.worker.step()
            assert time.monotonic() < deadline, "it is never drained"
            time.sleep(0)
        self.leave()
        return drained

    def leave(self) -> None:
        """Leave the group as at a stop, everything in flight committed."""
        self.worker.finish(30)
        self.crash()

    def crash(self) -> None:
        """Leave the group with nothing more committed."""
        self.log.close()
        self.inference.close()


def _in_threads(
    pipeline: Pipeline, cache: EmbeddingCache | None, telemetry: Telemetry
) -> Inference:
    return Inference(pipeline, cache, telemetry, 1)


@dataclass
class World:
    """The log, the clock, and what was written into it."""

    settings: Config = field(default_factory=config)
    partitions: int = 1
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(START))
    members: list[Member] = field(default_factory=list)
    hears: bool = False  # whether feedback is one of the inputs
    speech: SpeechToText | None = None

    def __post_init__(self) -> None:
        self.inputs = topic_of_modality(self.settings)
        self.log = memory_log(self.settings, self.partitions, self.clock)
        self._sink = MemorySink(self.log)

    def append(self, events: Iterable[FeedEvent]) -> None:
        """Append each event as it happens: append time is event time, or later."""
        for one in events:
            self.clock.now = max(self.clock.now, one.time)
            self.append_output(to_output(one, self.inputs))

    def say(self, label: Label, source: str = "/cameras/a", **named: str) -> Feedback:
        """Append what a person says now, as `mmworker feedback` does."""
        said = Feedback(source, label, self.clock.now, **named)
        headers = output_headers("feedback", said.message_id, source, said.time, None)
        topic = self.settings.topics.feedback
        self.append_output(Output(topic, source.encode(), to_json(said), headers))
        return said

    def append_output(self, output: Output) -> None:
        self._sink.append(output)

    def fall_silent(self) -> None:
        """Let so much time pass that all sources count as silent."""
        self.clock.now += seconds(self.settings.pairing.idle_timeout_seconds + 2)

    def ports(
        self,
        outbox: Callable[[World], Outbox] = CheckedOutbox,
        now: Callable[[], int] | None = None,
        memory: ProcessMemory | None = None,
        process: str = "",
    ) -> Ports:
        inputs = tuple(self.inputs.values())
        if self.hears:
            inputs += (self.settings.topics.feedback,)
        return Ports(
            log=MemoryInputLog(self.log, GROUP, inputs, process=process),
            state=MemoryStateLog(self.log, GROUP),
            outbox=outbox(self),
            telemetry=Metrics(inputs),
            now=now or self.clock,
            background=AtOnce(),
            memory=memory or UnwatchedMemory(),
        )

    def join(
        self,
        using: Mapping[Modality, Encoder] | None = None,
        *,
        cache: EmbeddingCache | None = None,
        now: Callable[[], int] | None = None,
        drains: bool = False,
        memory: ProcessMemory | None = None,
        process: str = "",
        running: Callable[[Pipeline, EmbeddingCache | None, Telemetry], Inference] = _in_threads,
    ) -> Member:
        ports = self.ports(now=now, memory=memory, process=process)
        pipeline = build_pipeline(self.settings, using or encoders(), speech=self.speech)
        inference = running(pipeline, cache, ports.telemetry)
        rules = worker_rules(self.settings, pipeline, self.partitions, {}, hears=self.hears)
        worker = Worker(ports, inference, rules, drains=drains)
        assert isinstance(ports.log, MemoryInputLog)
        assert isinstance(ports.outbox, CheckedOutbox)
        assert isinstance(ports.telemetry, Metrics)
        member = Member(worker, inference, ports.telemetry, ports.log, ports.outbox)
        self.members.append(member)
        return member

    def observations(self) -> list[Observation]:
        records = self.log.read_all(self.settings.topics.observations)
        return [_observation(record.value or b"") for record in records]

    def values(self, topic: str) -> list[bytes]:
        return [record.value or b"" for record in self.log.read_all(topic)]

    def state_keys(self) -> set[bytes]:
        """Return the keys of the records that the state consists of."""
        topic = self.settings.topics.snapshots
        last = {record.key or b"": record.value for record in self.log.read_all(topic)}
        return {key for key, value in last.items() if value is not None}

    def endings(self) -> dict[Place, list[str]]:
        """Return for each input record in an output the outputs it is in."""
        topics, found = self.settings.topics, dict[Place, list[str]]()
        for seen in self.observations():
            for one in seen.inputs:
                if not one.carried:
                    place = (one.topic, one.partition, one.offset)
                    found.setdefault(place, []).append(seen.observation_id)
        for topic, prefix in ((topics.dead_letters, "error"), (topics.late_events, "late")):
            for record in self.log.read_all(topic):
                named = {key: (value or b"").decode() for key, value in record.headers}
                where = [named[f"mmworker.{prefix}.{part}"] for part in ("topic", "partition")]
                place = (where[0], int(where[1]), int(named[f"mmworker.{prefix}.offset"]))
                found.setdefault(place, []).append(prefix)
        return found

    def places(self) -> dict[Place, bytes]:
        """Return all input records, each with what a duplicate of it shares with it."""
        return {
            (topic, record.partition, record.offset): _identity(record.key, record.headers)
            for topic in self.inputs.values()
            for record in self.log.read_all(topic)
        }

    def check_offsets(self) -> None:
        """Assert that the committed offsets pass no event but those in outputs and duplicates."""
        endings, places = self.endings(), self.places()
        known = {places[place] for place in endings if place in places}
        committed = self.log.group(GROUP).offsets
        lost = [
            place
            for place, identity in places.items()
            if place[2] < committed.get(TopicPartition(place[0], place[1]), Committed(0)).offset
            and place not in endings
            and identity not in known
        ]
        assert not lost, f"committed past {lost}"

    def close(self) -> None:
        for member in self.members:
            member.inference.close()


@lru_cache(8192)  # the log is looked at after each commit
def _observation(value: bytes) -> Observation:
    return read_observation(value)


def _identity(key: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> bytes:
    named = dict(headers)
    return b"\0".join((key or b"", named.get("ce_type") or b"", named.get("ce_id") or b""))


def endings_of(world: World) -> Counter[str]:
    """Return how many input records ended how, once all of them have; assert that it is once each.

    A record in no output counts as a duplicate where an earlier one has the same identity.
    """
    endings, first, counted = world.endings(), dict[bytes, Place](), Counter[str]()
    for place, identity in world.places().items():
        ends = endings.get(place, [])
        if not ends:
            assert identity in first, f"{place} is in no output"
            ends = ["duplicate"]
        assert len(ends) == 1, f"{place} is in {ends}"
        first.setdefault(identity, place)
        counted[ends[0] if ends[0] in ("error", "late", "duplicate") else "observed"] += 1
    return counted
