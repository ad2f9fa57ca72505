"""The input of the benchmark: the plaza scene as records, replayed until there are enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tests.benchmarks.scenario import Scenario
from worker.adapters.memory_log import MemoryLog
from worker.adapters.memory_ports import MemoryInputLog, MemorySink
from worker.config import Config
from worker.core.events import Modality
from worker.core.moment import Moment
from worker.core.ports import Output
from worker.core.rfc3339 import seconds
from worker.demo import scene
from worker.demo.embedded import VirtualClock, memory_log
from worker.feed.events import FLAC, JPEG, FeedEvent, to_output
from worker.runtime.shard import Shard
from worker.runtime.topics import topic_of_modality

START = seconds(1_750_000_000)  # any fixed time: equal arguments give equal bytes


@dataclass(frozen=True, slots=True)
class Backlog:
    """Records in order of event time; `times` are their event times in microseconds."""

    outputs: tuple[Output, ...]
    times: tuple[int, ...]
    frames: int

    @property
    def size(self) -> int:
        """The bytes of all values."""
        return sum(len(output.value or b"") for output in self.outputs)


def build(config: Config, seconds_played: float, takes: int) -> Backlog:
    """Return the first seconds of the scene, played `takes` times, one after the other."""
    return played(config, Scenario("plaza", seconds_played, takes))


def played(config: Config, scenario: Scenario) -> Backlog:
    """Return what a scenario plays."""
    shown = scene.events(scene.load(), START, until_s=scenario.seconds)
    first = list(scenario.events(shown))
    takes = range(scenario.takes)
    return of_events(
        config, [event for take in takes for event in _take(first, take, scenario.seconds)]
    )


def of_events(config: Config, events: Sequence[FeedEvent]) -> Backlog:
    """Return the events, which are in order of time, as records."""
    topics = topic_of_modality(config)
    return Backlog(
        outputs=tuple(to_output(event, topics) for event in events),
        times=tuple(event.time for event in events),
        frames=sum(event.modality is Modality.FRAME for event in events),
    )


def appended(config: Config, backlog: Backlog, partitions: int) -> tuple[MemoryLog, VirtualClock]:
    """Return a log that holds the backlog, appended as it happened, and the clock at its end."""
    clock = VirtualClock()
    log = memory_log(config, partitions, clock)
    sink = MemorySink(log)
    for time, output in zip(backlog.times, backlog.outputs, strict=True):
        clock.now = time
        sink.append(output)
    return log, clock


def moments_of(config: Config, backlog: Backlog, shard: Shard) -> Iterator[Moment]:
    """Yield the Moments that the backlog completes, each caption in the one that it came with.

    The last few windows of each source stay open: only silence would close them. The shard is used
    up by this.
    """
    log, clock = appended(config, backlog, 1)
    reader = MemoryInputLog(log, "bare", tuple(topic_of_modality(config).values()))
    more = True
    while more:
        polled = reader.poll(0)
        for partition, records in polled.records.items():
            shard.push(partition, records)
        for moment in shard.advance(polled.caught_up, clock.now):
            yield replace(moment, carried=None)
        if is_waiting := shard.wants_commit:  # before its first Moment it says that it begins
            shard.take()
            shard.committed()
        more = bool(polled.records) or not polled.assignment or is_waiting


def _take(events: Sequence[FeedEvent], take: int, length: float) -> Iterator[FeedEvent]:
    """Play the events again, later and with other bytes, so that no cache knows them yet."""
    for number, event in enumerate(events, start=take * len(events)):
        yield replace(
            event,
            id=f"{event.id}-{take}",
            time=event.time + take * seconds(length),
            payload=marked(event, number),
        )


def marked(event: FeedEvent, take: int) -> bytes:
    """Return the payload with a remark that changes neither picture nor sound."""
    remark = f"take {take:06d}".encode()
    if event.content_type == JPEG:  # a comment segment after the start of the image
        comment = b"\xff\xfe" + (len(remark) + 2).to_bytes(2, "big") + remark
        return event.payload[:2] + comment + event.payload[2:]
    if event.content_type == FLAC:  # an application block after the 42 bytes up to STREAMINFO's end
        head, rest = bytearray(event.payload[:42]), event.payload[42:]
        block = bytes([2 | head[4] & 0x80]) + len(remark).to_bytes(3, "big") + remark
        head[4] &= 0x7F
        return bytes(head) + block + rest
    return event.payload + b" (" + remark + b")"
