"""What the worker needs from the outside, as small protocols; adapters fulfil them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from worker.core.events import Record

Headers = tuple[tuple[str, bytes], ...]


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Output:
    """A record to append. Without a `partition` the log's partitioner chooses by key (murmur2)."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class CommitUnit:
    """Outputs and the input offsets that they make superfluous: all of it becomes visible, or nothing.

    `offsets` are next offsets to read, as in Kafka.
    """

    outputs: tuple[Output, ...]
    offsets: Mapping[TopicPartition, int]


@dataclass(frozen=True, slots=True)
class Ownership:
    """Proof of group membership at one generation; it fences commits of a member that was replaced.

    `token` is the adapter's own value.
    """

    generation: int
    token: object


@dataclass(frozen=True, slots=True)
class Polled:
    """What one poll brought. `assignment` is the whole assignment after it; `ownership` belongs to it.

    `caught_up` are the partitions whose last known end has been reached by the position, i.e. fully read.
    """

    records: Mapping[TopicPartition, Sequence[Record]]
    assignment: frozenset[TopicPartition]
    ownership: Ownership | None
    caught_up: frozenset[TopicPartition]
    lag: Mapping[TopicPartition, int] = field(default_factory=dict)


class LogError(Exception):
    """The log failed. `reason` is of low cardinality; `retriable` says whether a new attempt may help."""

    def __init__(self, reason: str, message: str, *, retriable: bool) -> None:
        super().__init__(message)
        self.reason = reason
        self.retriable = retriable


class InputLog(Protocol):
    """A member of a consumer group that reads the input topics, `read_committed`, range-assigned.

    Not thread-safe. Nothing is committed but through an Outbox.
    """

    def poll(self, timeout: float) -> Polled:
        """Wait up to `timeout` seconds for records of partitions that are not paused."""

    def pause(self, partitions: frozenset[TopicPartition]) -> None:
        """Let exactly these of the assigned partitions be paused; the others are resumed."""

    def close(self) -> None:
        """Leave the group."""


class Outbox(Protocol):
    """Commits units one after the other, in the order of submission."""

    def submit(self, unit: CommitUnit, ownership: Ownership) -> Future[None]:
        """Begin to commit; the future fails with LogError where the unit is not, or not surely, visible.

        After a failure the outbox refuses further units.
        """

    def close(self, timeout: float) -> None:
        """Wait up to `timeout` seconds for what was submitted, then let go."""


class RecordSink(Protocol):
    """Appends records outside of any transaction; for those who make events."""

    def append(self, output: Output) -> None:
        """Append; waits while too much is in flight."""

    def flush(self) -> None:
        """Return when all appended records are in the log. Raises LogError."""


class EmbeddingCache(Protocol):
    """Remembers encoder outputs by content. A fault costs time only: it never raises."""

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values in the order of `keys`; None where unknown or not to be had."""

    def put_many(self, items: Mapping[bytes, bytes]) -> None:
        """Remember; may be dropped."""


class Telemetry(Protocol):
    """Where the runtime reports what happened. Called from several threads; never raises."""

    def consumed(self, topic: str, records: int, size: int) -> None: ...
    def assigned(self, partitions: Mapping[str, int]) -> None: ...
    def lag(self, topic: str, partition: int, records: int) -> None: ...
    def rebalanced(self, event: str) -> None: ...
    def polled(self, now: float) -> None: ...
    def committed(self, now: float) -> None: ...
    def commit_failed(self, reason: str) -> None: ...
    def events(self, modality: str, outcome: str, count: int) -> None: ...
    def moments(self, outcome: str, count: int) -> None: ...
    def dead_lettered(self, topic: str, reason: str, count: int) -> None: ...
    def buffered(self, modality: str, entries: int, size: int) -> None: ...
    def stage(self, stage: str, seconds: float) -> None: ...
    def queue(self, stage: str, depth: int, waited: float | None) -> None: ...
    def encoded(self, modality: str, device: str, items: int) -> None: ...
    def encoder_failed(self, modality: str, reason: str) -> None: ...
    def cache(self, result: str, count: int) -> None: ...
    def cache_time(self, operation: str, seconds: float) -> None: ...
    def scored(self, expert: str, score: float) -> None: ...
    def alert(self, severity: str, kind: str) -> None: ...
    def suppressed(self, reason: str) -> None: ...
    def delay(self, stage: str, seconds: float) -> None: ...
    def watermark_delay(self, seconds: float) -> None: ...
    def degraded(self, component: str, active: bool) -> None: ...
    def sources(self, active: int, stale: int) -> None: ...
