"""What the worker needs from the outside, as small protocols; adapters fulfil them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from worker.core.events import Modality, Record

Headers = tuple[tuple[str, bytes], ...]


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Output:
    """A record to append. Without a `partition` the key chooses one, by murmur2."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    partition: int | None = None


class Committed(NamedTuple):
    """The next offset to read, and what its committer said beside it."""

    offset: int
    metadata: str = ""


@dataclass(frozen=True, slots=True)
class CommitUnit:
    """Outputs and the input offsets that they make superfluous: all become visible, or nothing.

    `offsets` are next offsets to read, as in Kafka, each with its metadata.
    """

    outputs: tuple[Output, ...]
    offsets: Mapping[TopicPartition, Committed]


@dataclass(frozen=True, slots=True)
class Ownership:
    """Proof of membership at one generation; it fences commits of a member that was replaced.

    `process` is an id that all sessions of this process share, `token` the adapter's own value.
    """

    generation: int
    process: str
    token: object


@dataclass(frozen=True, slots=True)
class Polled:
    """What one poll brought. `assignment` is all that is owned after it; `ownership` belongs to it.

    `caught_up` are the partitions that are fully read: the position has reached the known end.
    `positions` are the next offsets to be given and `lag` how far they were behind the ends, both
    from one look, so their sum is the end as of then; a partition without a look since it was
    assigned or sought is in neither.
    """

    records: Mapping[TopicPartition, Sequence[Record]]
    assignment: frozenset[TopicPartition]
    ownership: Ownership | None
    caught_up: frozenset[TopicPartition]
    lag: Mapping[TopicPartition, int] = field(default_factory=dict)
    positions: Mapping[TopicPartition, int] = field(default_factory=dict)


class LogError(Exception):
    """The log failed. `reason` is of low cardinality; `retriable`: a new attempt may help."""

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

    def seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Read on from these offsets. Partitions that are not owned any more are passed over."""

    def close(self) -> None:
        """Leave the group."""


class StateLog(Protocol):
    """What a new owner of partitions reads, `read_committed`, before it goes on with them."""

    def committed(
        self, partitions: Iterable[TopicPartition]
    ) -> Mapping[TopicPartition, Committed] | None:
        """Return what the group has committed for those where it has.

        None while a transaction is open that may change it. Raises LogError.
        """

    def bounds(self, partition: TopicPartition) -> tuple[int, int]:
        """Return the first offset and the last stable one (exclusive). Raises LogError."""

    def read(self, partition: TopicPartition, start: int) -> Iterator[Record]:
        """Yield the committed records from `start` to what is the end now. Raises LogError."""

    def processes(self) -> frozenset[str]:
        """Return the ids of the processes that are in the group. Raises LogError."""

    def unblock(self) -> None:
        """End transactions of the group that have been open for too long, where that is allowed."""

    def close(self) -> None:
        """Disconnect."""


class Outbox(Protocol):
    """Commits units one after the other, in the order of submission."""

    def submit(self, unit: CommitUnit, ownership: Ownership) -> Future[None]:
        """Begin to commit; the future fails with LogError where the unit is not surely visible.

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


class ProcessMemory(Protocol):
    """What the process takes of the machine's memory."""

    def resident(self) -> int:
        """Return the resident bytes; 0 where that cannot be known."""

    def give_back(self) -> None:
        """Return to the system what is free within the process."""


class UnwatchedMemory:
    """A ProcessMemory of which nothing is known."""

    def resident(self) -> int:
        """Return 0."""
        return 0

    def give_back(self) -> None:
        """Leave everything as it is."""


class Telemetry(Protocol):
    """Where the runtime reports what happened. Called from several threads; never raises."""

    def consumed(self, topic: str, records: int, size: int) -> None:
        """Records of a topic were read; `size` in bytes."""

    def assigned(self, partitions: Mapping[str, int]) -> None:
        """So many partitions of each topic are owned now."""

    def lag(self, topic: str, partition: int, records: int) -> None:
        """So many records of a partition are not read yet."""

    def rebalanced(self, event: str) -> None:
        """Partitions were `assigned`, `revoked` or `lost`."""

    def polled(self, now: float) -> None:
        """The log was polled at `now`, seconds since the epoch."""

    def committed(self, now: float) -> None:
        """A unit became visible at `now`, seconds since the epoch."""

    def commit_failed(self, reason: str) -> None:
        """A commit failed, or its outcome is unknown."""

    def events(self, modality: str, outcome: str, count: int) -> None:
        """Events ended as `paired`, `late`, `duplicate` or `dead_letter`."""

    def moments(self, outcome: str, count: int) -> None:
        """Moments were judged: `complete`, `partial`, `carried` or `idle_closed`."""

    def dead_lettered(self, topic: str, reason: str, count: int) -> None:
        """Records of a topic became dead letters."""

    def buffered(self, modality: str, entries: int, size: int) -> None:
        """So many events are read and in no output; `size` in bytes."""

    def stage(self, stage: str, seconds: float) -> None:
        """A stage took so long."""

    def queue(self, stage: str, depth: int, waited: float | None) -> None:
        """A stage took work from its queue, which it had `waited` seconds in."""

    def encoded(self, modality: str, device: str, items: int) -> None:
        """An encoder returned so many items."""

    def encoder_failed(self, modality: str, reason: str) -> None:
        """An encoder failed."""

    def speech(self, outcome: str) -> None:
        """Speech was looked for in a Moment: `none`, `text`, `empty` (no words) or `failed`."""

    def cache(self, result: str, count: int) -> None:
        """The cache answered: `hit`, `near` (in the process), `miss`, `error` or `bypass`."""

    def cache_time(self, operation: str, seconds: float) -> None:
        """A cache operation took so long."""

    def scored(self, expert: str, score: float) -> None:
        """An expert scored a Moment, in 0..1."""

    def p_value(self, p_value: float) -> None:
        """A Moment was judged; those of sources that warm up have no p-value."""

    def warming_up(self) -> None:
        """A Moment has no score, since too little is known of its source."""

    def drifting(self) -> None:
        """A Moment was judged whose source's p-values drift."""

    def modality(self, modality: str, state: str) -> None:
        """A Moment has a modality `present`, `carried` or `missing`."""

    def alert(self, severity: str, kind: str) -> None:
        """An alert message of a kind was written."""

    def shadow_p_value(self, p_value: float) -> None:
        """A bundle in shadow judged a Moment."""

    def shadowed(self, severity: str, kind: str) -> None:
        """An alert message of a kind would have been written by the policies that are tried."""

    def suppressed(self, reason: str) -> None:
        """An alert was not opened."""

    def heeded(self, label: str, effect: str) -> None:
        """Feedback with a label came to an effect."""

    def delay(self, stage: str, seconds: float, trace_id: str | None = None) -> None:
        """Event time was so long ago at a stage: `ingest`, `scored`, `published`.

        `trace_id` names the trace of the event, 32 hexadecimal digits.
        """

    def watermark_delay(self, seconds: float) -> None:
        """The slowest active source is closed up to so long ago."""

    def filled(self, buffer: str, share: float) -> None:
        """A buffer, queue or cache holds this share of its bound; 1 is full."""

    def degraded(self, component: str, active: bool) -> None:
        """A component works badly, or well again."""

    def overload(self, step: int) -> None:
        """So many steps of the overload ladder are taken; 0 is full effort."""

    def sources(self, active: int, stale: int, stopped: Mapping[Modality, int]) -> None:
        """So many sources are active or silent; of active ones a modality has `stopped`."""
