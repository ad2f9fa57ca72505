"""One way for the contract tests to work with the log in memory and with a real Kafka."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from kafka import KafkaConsumer
from kafka import TopicPartition as ClientPartition

from worker.adapters.kafka.admin import KafkaAdmin, TopicSpec
from worker.adapters.kafka.input_log import KafkaInputLog
from worker.adapters.kafka.outbox import KafkaOutbox
from worker.adapters.kafka.records import to_record
from worker.adapters.kafka.sink import KafkaSink
from worker.adapters.kafka.state_log import KafkaStateLog
from worker.adapters.memory_log import MemoryLog
from worker.adapters.memory_ports import MemoryInputLog, MemoryOutbox, MemorySink, MemoryStateLog
from worker.config import KafkaSettings
from worker.core.events import Record
from worker.core.ports import (
    Committed,
    InputLog,
    Outbox,
    Output,
    Ownership,
    Polled,
    RecordSink,
    StateLog,
    TopicPartition,
)

LIMIT = 20.0  # seconds after which a test gives up waiting


class World(Protocol):
    """A log with the topics of one test."""

    inputs: tuple[str, str, str]
    results: str

    def member(self, process: str = "") -> InputLog: ...
    def outbox(self) -> Outbox: ...
    def sink(self) -> RecordSink: ...
    def state(self) -> StateLog: ...
    def read_all(self, topic: str) -> list[Record]: ...
    def close(self) -> None: ...


class MemoryWorld:
    """The log in memory, with a clock that goes on by a millisecond at each look."""

    def __init__(self, partitions: int) -> None:
        self.inputs = ("frames", "captions", "audio")
        self.results = "results"
        self._now = 1_700_000_000_000_000
        counts = dict.fromkeys((*self.inputs, self.results), partitions)
        self.log = MemoryLog(counts, self._tick)

    def member(self, process: str = "") -> InputLog:
        return MemoryInputLog(self.log, "group", self.inputs, process=process)

    def outbox(self) -> Outbox:
        return MemoryOutbox(self.log, "group")

    def sink(self) -> RecordSink:
        return MemorySink(self.log)

    def state(self) -> StateLog:
        return MemoryStateLog(self.log, "group")

    def read_all(self, topic: str) -> list[Record]:
        return self.log.read_all(topic)

    def close(self) -> None:
        pass

    def _tick(self) -> int:
        self._now += 1000
        return self._now


class KafkaWorld:
    """Fresh topics and a fresh group on a broker."""

    def __init__(self, bootstrap: str, partitions: int) -> None:
        run = uuid.uuid4().hex[:12]
        self.inputs = (f"frames-{run}", f"captions-{run}", f"audio-{run}")
        self.results = f"results-{run}"
        self.settings = KafkaSettings(
            bootstrap_servers=bootstrap, group_id=f"group-{run}", session_timeout_seconds=6
        )
        self._partitions = partitions
        self._outboxes = 0
        self._closing: list[Callable[[], Any]] = []
        self._create()

    def member(self, process: str = "") -> KafkaInputLog:
        member = KafkaInputLog(self.settings, self.inputs, process=process or None)
        self._closing.append(member.close)
        return member

    def outbox(self) -> KafkaOutbox:
        self._outboxes += 1
        outbox = KafkaOutbox(self.settings, f"{self.settings.group_id}-{self._outboxes}")
        self._closing.append(lambda: outbox.close(2))
        return outbox

    def sink(self) -> KafkaSink:
        sink = KafkaSink(self.settings, connect_timeout=3)
        self._closing.append(sink.close)
        return sink

    def state(self) -> KafkaStateLog:
        state = KafkaStateLog(self.settings)
        self._closing.append(state.close)
        return state

    def read_all(self, topic: str) -> list[Record]:
        partitions = [ClientPartition(topic, index) for index in range(self._partitions)]
        consumer = KafkaConsumer(
            bootstrap_servers=self.settings.bootstrap_servers,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
        )
        try:
            consumer.assign(partitions)
            consumer.seek_to_beginning()
            return list(self._until_end(consumer, partitions))
        finally:
            consumer.close()

    def close(self) -> None:
        for close in reversed(self._closing):
            close()

    def _until_end(self, consumer: Any, partitions: list[Any]) -> list[Record]:
        ends = consumer.end_offsets(partitions)
        records: list[Record] = []
        deadline = time.monotonic() + LIMIT
        while any(consumer.position(each) < end for each, end in ends.items()):
            assert time.monotonic() < deadline, "the topic was not read to its end"
            for batch in consumer.poll(200).values():
                records += [to_record(each) for each in batch]
        return sorted(records, key=lambda record: (record.partition, record.offset))

    def _create(self) -> None:
        config = {"message.timestamp.type": "LogAppendTime"}
        with KafkaAdmin(self.settings) as admin:
            admin.create(
                TopicSpec(name, self._partitions, config) for name in (*self.inputs, self.results)
            )


@dataclass
class Reader:
    """Polls a member and keeps what it has said, per partition."""

    log: InputLog
    records: dict[TopicPartition, list[Record]] = field(default_factory=dict)
    last: Polled | None = None

    def poll(self, timeout: float = 0.05) -> Polled:
        polled = self.log.poll(timeout)
        self.last = polled
        for partition, records in polled.records.items():
            self.records.setdefault(partition, []).extend(records)
        return polled

    @property
    def count(self) -> int:
        return sum(len(records) for records in self.records.values())

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset() if self.last is None else self.last.assignment

    @property
    def ownership(self) -> Ownership:
        assert self.last is not None
        assert self.last.ownership is not None
        return self.last.ownership

    @property
    def next_offsets(self) -> Mapping[TopicPartition, Committed]:
        return {each: Committed(read[-1].offset + 1) for each, read in self.records.items()}


def wait_for(condition: Callable[[], bool], *readers: Reader) -> None:
    """Poll the readers in turn until the condition holds."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        for reader in readers:
            reader.poll()


def joined(*logs: InputLog) -> list[Reader]:
    """Return readers, all of which own something."""
    readers = [Reader(log) for log in logs]
    wait_for(lambda: all(reader.assignment for reader in readers), *readers)
    return readers


def write(world: World, outputs: Sequence[Output]) -> None:
    sink = world.sink()
    for output in outputs:
        sink.append(output)
    sink.flush()
