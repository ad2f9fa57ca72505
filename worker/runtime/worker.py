"""The poll loop: reads, keeps every partition index going, commits. Polls at least every second."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from worker.core.moment import Moment
from worker.core.ports import (
    CommitUnit,
    InputLog,
    LogError,
    Outbox,
    Ownership,
    Polled,
    Telemetry,
    TopicPartition,
)
from worker.core.rfc3339 import MICROSECONDS, seconds
from worker.errors import FailedRunError
from worker.runtime.inference import Batch, Inference, Result
from worker.runtime.report import Reporter
from worker.runtime.shard import Shard

MERGE_WAIT = seconds(0.3)  # for fetches that are under way; longer than the client waits in a fetch
BATCH_MOMENTS = 16
READY_MOMENTS = 2 * BATCH_MOMENTS  # closed Moments that may wait for a place in the inference
COMMIT_OUTPUTS = 500  # outputs that make a commit due at once
COMMIT_INTERVAL = seconds(0.5)
BUSY_POLL, IDLE_POLL = 0.005, 0.2  # seconds
REPORT_INTERVAL = seconds(1)


@dataclass(frozen=True, slots=True)
class Ports:
    """The worker's borders. `now` is the time since the epoch in microseconds."""

    log: InputLog
    outbox: Outbox
    telemetry: Telemetry
    now: Callable[[], int]


@dataclass(slots=True)
class _AppendClock:
    """What time it is at the brokers: the newest append time, and what has passed since it came.

    Brokers and workers need not agree on the time; only its passing counts.
    """

    newest: int = 0
    heard: int = 0

    def hear(self, append_time: int, now: int) -> None:
        if append_time > self.newest:
            self.newest, self.heard = append_time, now

    def append_time(self, now: int) -> int:
        return self.newest + now - self.heard if self.newest else 0


ShardFactory = Callable[[frozenset[TopicPartition]], Shard]


class Worker:
    """One member of the group, from joining to leaving. Single-threaded but for its Inference."""

    def __init__(
        self,
        ports: Ports,
        inference: Inference,
        make_shard: ShardFactory,
        max_buffered_bytes: int,
    ) -> None:
        self._ports = ports
        self._inference = inference
        self._make_shard = make_shard
        self._max_buffered_bytes = max_buffered_bytes
        self._reporter = Reporter(ports.telemetry)
        self._shards: dict[int, Shard] = {}
        self._clocks: dict[int, _AppendClock] = {}
        self._ready: deque[tuple[Shard, Moment]] = deque()
        self._ownership: Ownership | None = None
        self._commit: Future[None] | None = None
        self._last_commit = 0
        self._last_report = 0
        self._full = False

    def step(self) -> bool:
        """Do what can be done now; return whether anything is left to do without new records.

        Raises LogError where a commit failed: memory is then to be discarded.
        """
        busy = bool(self._ready or self._inference.in_flight or self._full)
        polled = self._ports.log.poll(BUSY_POLL if busy else IDLE_POLL)
        now = self._ports.now()
        self._take_assignment(polled)
        for partition, records in polled.records.items():
            self._shards[partition.partition].push(partition, records)
            self._clocks[partition.partition].hear(records[-1].timestamp, now)
        self._reporter.polled(polled, now)
        self._close_moments(polled.caught_up, now)
        self._feed()
        for result in self._inference.completed():
            self._settle(result, now)
        self._try_commit(now)
        self._ports.log.pause(self._to_pause())
        if now - self._last_report >= REPORT_INTERVAL:
            self._report(now)
        return bool(self._ready or self._inference.in_flight or self._full or self._commit)

    def finish(self, timeout: float) -> None:
        """Finish what is in flight and commit it. Raises LogError or FailedRunError."""
        deadline = self._ports.now() + seconds(timeout)
        while self._ready or self._inference.in_flight:
            self._feed()
            for result in self._inference.completed(timeout=0.1):
                self._settle(result, self._ports.now())
            if self._ports.now() > deadline:
                raise FailedRunError(
                    "the work in flight was not finished in time; it is read again"
                )
        self._await_commit(timeout)
        if (unit := self._take()) is not None:
            self._submit(unit)
            self._await_commit(timeout)
        self._report(self._ports.now())

    @property
    def is_member(self) -> bool:
        """Whether it has joined the group; an empty assignment is fine."""
        return self._ownership is not None

    @property
    def is_full(self) -> bool:
        """Whether it has closed more Moments than its inference takes for now."""
        return self._full

    def _take_assignment(self, polled: Polled) -> None:
        """Keep the state of indices that stay, drop that of lost ones, begin the new ones anew."""
        self._ownership = polled.ownership
        owned = Counter(partition.partition for partition in polled.assignment)
        lost = [index for index in self._shards if index not in owned]
        for index in lost:
            del self._clocks[index]
            dropped = self._shards.pop(index)
            self._ready = deque(pair for pair in self._ready if pair[0] is not dropped)
        for index in owned:
            if index not in self._shards:
                partitions = {p for p in polled.assignment if p.partition == index}
                self._shards[index] = self._make_shard(frozenset(partitions))
                self._clocks[index] = _AppendClock()

    def _close_moments(self, caught_up: frozenset[TopicPartition], now: int) -> None:
        """Advance each index in turn while there is room for closed Moments."""
        self._full = False
        for index, shard in self._shards.items():
            until = self._clocks[index].append_time(now) - MERGE_WAIT
            for moment in shard.advance(caught_up & shard.partitions, until):
                self._ready.append((shard, moment))
                if len(self._ready) >= READY_MOMENTS:
                    self._full = True
                    return

    def _feed(self) -> None:
        while self._ready and self._inference.has_room:
            count = min(len(self._ready), BATCH_MOMENTS)
            taken = [self._ready.popleft() for _ in range(count)]
            shards = tuple(shard for shard, _ in taken)
            self._inference.submit(Batch(shards, tuple(moment for _, moment in taken)))

    def _settle(self, result: Result, now: int) -> None:
        live = set(map(id, self._shards.values()))
        for shard, embedded in zip(result.label, result.embedded, strict=True):
            if id(shard) in live:
                self._reporter.settled(shard.settle(embedded), now)

    def _try_commit(self, now: int) -> None:
        if self._commit is not None and self._commit.done():
            self._commit.result()
            self._commit = None
            self._ports.telemetry.committed(now / MICROSECONDS)
        waiting = sum(shard.waiting_outputs for shard in self._shards.values())
        due = waiting >= COMMIT_OUTPUTS or now - self._last_commit >= COMMIT_INTERVAL
        if self._commit is None and due and (unit := self._take()) is not None:
            self._last_commit = now
            self._submit(unit)

    def _take(self) -> CommitUnit | None:
        """Join the news of all indices into one unit."""
        units = [unit for shard in self._shards.values() if (unit := shard.take()) is not None]
        if not units:
            return None
        return CommitUnit(
            outputs=tuple(output for unit in units for output in unit.outputs),
            offsets={p: offset for unit in units for p, offset in unit.offsets.items()},
        )

    def _submit(self, unit: CommitUnit) -> None:
        if self._ownership is None:
            raise LogError("not_a_member", "there is nothing to commit for", retriable=True)
        self._commit = self._ports.outbox.submit(unit, self._ownership)

    def _await_commit(self, timeout: float) -> None:
        if self._commit is not None:
            self._commit.result(timeout)
            self._commit = None

    def _to_pause(self) -> frozenset[TopicPartition]:
        if self._full:
            return frozenset(p for shard in self._shards.values() for p in shard.partitions)
        return frozenset(p for shard in self._shards.values() for p in shard.ahead)

    def _report(self, now: int) -> None:
        self._last_report = now
        size = self._reporter.shards(list(self._shards.values()), now)
        if size > self._max_buffered_bytes:
            raise FailedRunError(
                f"pairing holds {size} bytes, more than pairing.max_buffered_bytes"
                f" ({self._max_buffered_bytes}): raise it, lower pairing.idle_timeout_seconds,"
                " or spread the sources over more partitions"
            )
