"""The poll loop: reads, keeps every partition index going, commits. Polls at least every second."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

from worker.core.moment import Moment
from worker.core.ports import (
    InputLog,
    LogError,
    Outbox,
    Ownership,
    Polled,
    StateLog,
    Telemetry,
    TopicPartition,
)
from worker.core.rfc3339 import seconds
from worker.errors import FailedRunError
from worker.runtime.commits import Commits, is_due
from worker.runtime.inference import Batch, Inference, Result
from worker.runtime.recoveries import Recoveries
from worker.runtime.recovery import Recovered
from worker.runtime.report import Reporter
from worker.runtime.rules import WorkerRules
from worker.runtime.shard import Shard

MERGE_WAIT = seconds(0.3)  # for fetches that are under way; longer than the client waits in a fetch
BATCH_MOMENTS = 16
READY_MOMENTS = 2 * BATCH_MOMENTS  # closed Moments that may wait for a place in the inference
BUSY_POLL, IDLE_POLL = 0.005, 0.2  # seconds
FULL_WAIT = 0.05  # seconds to wait for the inference where no more can be taken in
REPORT_INTERVAL = seconds(1)


@dataclass(frozen=True, slots=True)
class Ports:
    """The worker's borders. `now` is the time since the epoch in microseconds.

    `background` reads the state of partitions that are new here.
    """

    log: InputLog
    state: StateLog
    outbox: Outbox
    telemetry: Telemetry
    now: Callable[[], int]
    background: Executor


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


class Worker:
    """One member of the group, from joining to leaving. Single-threaded but for its Inference."""

    def __init__(self, ports: Ports, inference: Inference, rules: WorkerRules) -> None:
        self._ports = ports
        self._inference = inference
        self._rules = rules
        self._recoveries = Recoveries(ports.background, ports.state, rules.recovery)
        self._reporter = Reporter(ports.telemetry)
        self._shards: dict[int, Shard] = {}
        self._clocks: dict[int, _AppendClock] = {}
        self._turns: deque[int] = deque()  # the indices, whose turn is next first
        self._ready: deque[tuple[Shard, Moment]] = deque()
        self._ownership: Ownership | None = None
        self._commits = Commits(ports.outbox, self._reporter)
        self._last_report = 0
        self._full = False

    def step(self) -> bool:
        """Do what can be done now; return whether another step may find something to do at once.

        Raises LogError where a commit failed: memory is then to be discarded.
        """
        asked = (
            self._ports.now()
        )  # what is fully read was so then; the process may have slept since
        polled = self._ports.log.poll(BUSY_POLL if self._is_busy else IDLE_POLL)
        now = self._ports.now()
        self._take_assignment(polled, now)
        self._push(polled, now)
        self._reporter.polled(polled, now)
        self._close_moments(polled.caught_up, asked)
        self._reporter.ingested(self._shards.values(), now)
        self._feed()
        is_stuck = self._full and not self._inference.has_room
        for result in self._inference.completed(FULL_WAIT if is_stuck else 0):
            self._settle(result, now)
        self._commits.step(self._shards.values(), self._ownership, now)
        recovered = self._recoveries.completed(now)
        for each in recovered:
            self._go_on(each, now)  # with the next poll: this one's news is of before
        paused = self._to_pause()
        self._ports.log.pause(paused)
        if is_due(now, self._last_report, REPORT_INTERVAL):
            self._report(now)
        is_unread = any(lag for each, lag in polled.lag.items() if each not in paused)
        return bool(is_unread or recovered or self._is_busy or self._commits.is_pending)

    def finish(self, timeout: float) -> None:
        """Finish what is in flight and commit it. Raises LogError or FailedRunError.

        `timeout` is in seconds, for all of it together.
        """
        deadline = time.monotonic() + timeout
        while self._ready or self._inference.in_flight:
            self._feed()
            for result in self._inference.completed(timeout=0.1):
                self._settle(result, self._ports.now())
            if time.monotonic() > deadline:
                raise FailedRunError(
                    "the work in flight was not finished in time; it is read again"
                )
        now = self._ports.now()
        self._commits.finish(self._shards.values(), self._ownership, now, deadline)
        self._report(now)

    def discard(self) -> None:
        """Count what is in no output yet as returned: whoever owns it next reads it again."""
        for shard in self._shards.values():
            self._reporter.dropped(shard)
        self._shards.clear()
        self._reporter.shards([], self._ports.now())

    @property
    def is_member(self) -> bool:
        """Whether it has joined the group and knows the state of all that it owns."""
        restoring = any(shard.is_restoring for shard in self._shards.values())
        return self._ownership is not None and not self._recoveries.pending and not restoring

    @property
    def is_full(self) -> bool:
        """Whether it takes in no more for now, since inference or commits are behind."""
        return self._full

    @property
    def _is_busy(self) -> bool:
        at_work = self._ready or self._inference.in_flight or self._recoveries.pending
        restoring = any(shard.is_restoring for shard in self._shards.values())
        return bool(at_work or self._full or restoring)

    def _take_assignment(self, polled: Polled, now: int) -> None:
        """Keep the state of indices that stay, drop that of lost ones, recover the new ones."""
        self._ownership = polled.ownership
        owned: dict[int, set[TopicPartition]] = {}
        for partition in polled.assignment:
            owned.setdefault(partition.partition, set()).add(partition)
        known = {index: shard.partitions for index, shard in self._shards.items()}
        known |= self._recoveries.pending
        for index in known.keys() - owned.keys():
            self._recoveries.drop(index)
            self._drop(index)
        for index in sorted(owned):
            if index not in known:
                self._recoveries.begin(index, owned[index], now)
            elif known[index] != owned[index]:
                message = f"the topics' partitions {index} came to different workers"
                raise LogError("split_assignment", message, retriable=True)

    def _go_on(self, recovered: Recovered, now: int) -> None:
        """Take an index up where the one before left it."""
        offsets = {each: position.committed for each, position in recovered.positions.items()}
        self._ports.log.seek(offsets)
        shard = Shard(self._rules.shard, self._rules.composer, recovered)
        self._shards[shard.index] = shard
        self._clocks[shard.index] = _AppendClock()
        self._clocks[shard.index].hear(recovered.clock, now)
        self._turns.append(shard.index)

    def _push(self, polled: Polled, now: int) -> None:
        """Give the records to their indices; those that are not recovered yet read them again."""
        for partition, records in polled.records.items():
            if (shard := self._shards.get(partition.partition)) is not None:
                shard.push(partition, records)
                self._reporter.consumed(partition.topic, records)
                self._clocks[partition.partition].hear(records[-1].timestamp, now)

    def _drop(self, index: int) -> None:
        dropped = self._shards.pop(index, None)
        if dropped is None:
            return
        del self._clocks[index]
        self._turns.remove(index)
        self._ready = deque(pair for pair in self._ready if pair[0] is not dropped)
        self._reporter.dropped(dropped)

    def _close_moments(self, caught_up: frozenset[TopicPartition], now: int) -> None:
        """Let the indices close Moments, one each in turn, while there is room for them."""
        self._full = self._commits.is_full(self._shards.values())
        if self._full:
            return
        closing = {index: self._closing(index, caught_up, now) for index in self._turns}
        done = 0
        while done < len(self._turns):
            if len(self._ready) >= READY_MOMENTS:
                self._full = True
                return
            index = self._turns[0]
            self._turns.rotate(-1)
            moment = next(closing[index], None)
            done = 0 if moment else done + 1
            if moment:
                self._ready.append((self._shards[index], moment))

    def _closing(
        self, index: int, caught_up: frozenset[TopicPartition], now: int
    ) -> Iterator[Moment]:
        shard = self._shards[index]
        until = self._clocks[index].append_time(now) - MERGE_WAIT
        return shard.advance(caught_up & shard.partitions, until)

    def _feed(self) -> None:
        while self._ready and self._inference.has_room:
            count = min(len(self._ready), BATCH_MOMENTS)
            taken = [self._ready.popleft() for _ in range(count)]
            shards = tuple(shard for shard, _ in taken)
            self._inference.submit(Batch(shards, tuple(moment for _, moment in taken)))

    def _settle(self, result: Result, now: int) -> None:
        began = time.monotonic()
        live = set(map(id, self._shards.values()))
        for shard, embedded in zip(result.label, result.embedded, strict=True):
            if id(shard) in live and (settled := shard.settle(embedded)) is not None:
                self._commits.settled(shard, settled.ended)
                self._reporter.settled(settled, now)
        self._reporter.stage("score", time.monotonic() - began)

    def _to_pause(self) -> frozenset[TopicPartition]:
        shards, pending = self._shards.values(), self._recoveries.pending.values()
        recovering = {partition for partitions in pending for partition in partitions}
        if self._full:
            return frozenset(p for shard in shards for p in shard.partitions) | recovering
        return frozenset(p for shard in shards for p in shard.ahead) | recovering

    def _report(self, now: int) -> None:
        self._last_report = now
        self._reporter.queues(self._inference.waiting)
        self._reporter.shards(self._shards.values(), now)
        size = sum(shard.pairing_bytes for shard in self._shards.values())
        if size > self._rules.max_buffered_bytes:
            limit = self._rules.max_buffered_bytes
            raise FailedRunError(
                f"pairing holds {size} bytes, more than pairing.max_buffered_bytes ({limit}): raise"
                " it, lower pairing.idle_timeout_seconds, or spread the sources over more"
                " partitions"
            )
