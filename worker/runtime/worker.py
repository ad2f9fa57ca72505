"""The poll loop: reads, keeps every partition index going, commits. Polls at least every second."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field

import structlog

from worker.core.caution import Care
from worker.core.dead_letter_limit import DeadLetterLimit
from worker.core.effort import Ladder
from worker.core.ports import (
    InputLog,
    LogError,
    Outbox,
    Ownership,
    Polled,
    ProcessMemory,
    StateLog,
    Telemetry,
    TopicPartition,
    UnwatchedMemory,
)
from worker.core.rfc3339 import seconds
from worker.errors import FailedRunError
from worker.runtime.commits import Commits, is_due
from worker.runtime.drain import Drain, Drained, Others
from worker.runtime.inference import QUEUE_BATCHES, Inference, Result
from worker.runtime.lineup import Lineup
from worker.runtime.memory import MemoryWatch
from worker.runtime.recoveries import Recoveries
from worker.runtime.recovery import Recovered
from worker.runtime.report import Reporter
from worker.runtime.rules import WorkerRules
from worker.runtime.shard import Shard

log = structlog.get_logger(__name__)

MERGED_BYTES = 128 * 1024 * 1024  # of all indices, from which only what a merge waits for is read
BUSY_POLL, IDLE_POLL = 0.02, 0.2  # seconds; a poll takes some 0.3 ms of CPU
FULL_WAIT = 0.05  # seconds to wait for the inference where Moments wait for a place in it
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
    memory: ProcessMemory = field(default_factory=UnwatchedMemory)


class Worker:
    """One member of the group, from joining to leaving. Single-threaded but for its Inference."""

    def __init__(
        self,
        ports: Ports,
        inference: Inference,
        rules: WorkerRules,
        *,
        drains: bool = False,
    ) -> None:
        self._ports = ports
        self._inference = inference
        self._rules = rules
        self._drain = Drain(drains)
        self._others = Others(ports.background, ports.state, rules.shard.partitions)
        self._limit = DeadLetterLimit(rules.dead_letters)
        self.drained: Drained | None = None  # what a drain came to, once nothing is left to do
        self._recoveries = Recoveries(ports.background, ports.state, rules.recovery)
        self._reporter = Reporter(ports.telemetry)
        self._shards: dict[int, Shard] = {}
        self._ladder = Ladder(rules.long_wait)
        self._lineup = Lineup(self._shards, inference, self._ladder)
        self._ownership: Ownership | None = None
        self._care = Care()
        self._topics = len({each.topic for each in rules.shard.partitions})
        self._commits = Commits(ports.outbox, self._reporter)
        self._memory = MemoryWatch(rules.max_resident_bytes, ports.memory, ports.telemetry)
        self._last_report = 0
        self._full = False

    def step(self) -> bool:
        """Do what can be done now; return whether another step may find something to do at once.

        Raises LogError where a commit failed: memory is then to be discarded.
        """
        asked = (
            self._ports.now()
        )  # what is fully read was so then; the process may have slept since
        polled = self._ports.log.poll(self._patience)
        now = self._ports.now()
        self._take_assignment(polled, now)
        self._push(polled, now)
        self._drain.follow(polled, [p for each in self._shards.values() for p in each.partitions])
        self._reporter.polled(polled, now)
        self._memory.look(now, is_idle=not (self._at_work or self._commits.is_pending))
        self._close_moments(frozenset() if self._memory.is_full else polled.caught_up, asked)
        self._reporter.ingested(self._shards.values(), now)
        self._lineup.feed(now, unread=sum(polled.lag.values()))
        for result in self._inference.completed(FULL_WAIT if self._lineup else 0):
            self._settle(result, now)
        for shard in self._shards.values():
            self._limit.add(shard.outputs.take_endings())
        self._commits.step(self._shards.values(), self._ownership, now)
        recovered = self._recoveries.completed(now)
        for each in recovered:
            self._go_on(each, now)  # with the next poll: this one's news is of before
        paused = self._to_pause()
        self._ports.log.pause(paused)
        if is_due(now, self._last_report, REPORT_INTERVAL):
            self._report(now)
        self.drained = self._look_drained(now)
        is_unread = any(lag for each, lag in polled.lag.items() if each not in paused)
        return bool(is_unread or recovered or self._is_busy or self._commits.is_pending)

    def finish(self, timeout: float) -> None:
        """Finish what is in flight and commit it. Raises LogError or FailedRunError.

        `timeout` is in seconds, for all of it together.
        """
        deadline = time.monotonic() + timeout
        while self._lineup or self._inference.in_flight:
            self._lineup.feed(self._ports.now())
            for result in self._inference.completed(timeout=0.1):
                self._settle(result, self._ports.now())
            if time.monotonic() > deadline:
                raise FailedRunError(
                    "the work in flight was not finished in time; it is read again"
                )
        for shard in self._shards.values():
            shard.withdraw()
        now = self._ports.now()
        self._commits.finish(self._shards.values(), self._ownership, now, deadline)
        self._report(now)

    def discard(self) -> None:
        """Count what is in no output yet as returned: whoever owns it next reads it again."""
        for shard in self._shards.values():
            shard.leave()
            self._reporter.dropped(shard)
        self._shards.clear()
        self._reporter.shards([], self._ports.now())

    @property
    def is_member(self) -> bool:
        """Whether it has joined the group and knows the state of all that it owns."""
        restoring = any(shard.is_restoring for shard in self._shards.values())
        return self._ownership is not None and not self._recoveries.pending and not restoring

    @property
    def exceeded(self) -> str | None:
        """Which limit on dead letters is reached, if one is, and what to do about it."""
        return self._limit.exceeded

    @property
    def is_full(self) -> bool:
        """Whether it takes in no more for now, since inference or commits are behind."""
        return self._full

    @property
    def _at_work(self) -> bool:
        return bool(self._lineup or self._inference.in_flight or self._recoveries.pending)

    @property
    def _patience(self) -> float:
        """The seconds that records may take to come, with nothing else to do until then."""
        if self._lineup:
            return 0
        return BUSY_POLL if self._is_busy else IDLE_POLL

    @property
    def _is_busy(self) -> bool:
        shards = self._shards.values()
        waiting = any(shard.is_restoring or shard.intake.gate.is_shut for shard in shards)
        return self._at_work or self._full or waiting

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
            if index not in known and len(owned[index]) == self._topics:
                self._recoveries.begin(index, owned[index], now)
            elif known.get(index) != frozenset(owned[index]):
                message = f"the topics' partitions {index} came to different workers"
                raise LogError("split_assignment", message, retriable=True)

    def _go_on(self, recovered: Recovered, now: int) -> None:
        """Take an index up where the one before left it."""
        attempts = recovered.index.attempts
        if attempts.begun:
            log.warning(
                "a process ended before it got anywhere; Moments are tried one at a time",
                partition=next(iter(recovered.positions)).partition,
                to_be_quarantined=len(attempts.guilty),
            )
        offsets = {each: position.committed for each, position in recovered.positions.items()}
        self._ports.log.seek(offsets)
        process = "" if self._ownership is None else self._ownership.process
        shard = Shard(process, self._care, self._rules.shard, self._rules.composer, recovered)
        self._shards[shard.index] = shard
        self._drain.forget(shard.partitions)
        self._lineup.join(shard.index, recovered.clock, now)

    def _push(self, polled: Polled, now: int) -> None:
        """Give the records to their indices; those that are not recovered yet read them again."""
        for partition, records in polled.records.items():
            if (shard := self._shards.get(partition.partition)) is not None:
                shard.push(partition, records)
                self._reporter.consumed(partition.topic, records)
                self._lineup.hear(partition.partition, records[-1].timestamp, now)

    def _drop(self, index: int) -> None:
        dropped = self._shards.pop(index, None)
        if dropped is None:
            return
        dropped.leave()
        self._drain.forget(dropped.partitions)
        self._lineup.leave(dropped)
        self._reporter.dropped(dropped)

    def _close_moments(self, caught_up: frozenset[TopicPartition], now: int) -> None:
        """Let the indices close Moments where there is room for what comes of them."""
        is_full = self._commits.is_full(self._shards.values())
        self._full = is_full or self._lineup.close(caught_up, self._drain.read, now)

    def _look_drained(self, now: int) -> Drained | None:
        shards, at_work = self._shards.values(), self._lineup or self._inference.in_flight
        if not self._drain.is_wanted or not self.is_member or at_work:
            return None
        own = [partition for shard in shards for partition in shard.partitions]
        if not all(each.intake.is_drained for each in shards) or not self._others.are_drained(
            own, now
        ):
            return None
        return Drained(tuple(sorted(self._shards)), sum(shard.intake.flushed for shard in shards))

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
        if self._full or self._memory.is_full:
            return frozenset(p for shard in shards for p in shard.partitions) | recovering
        waiting = {p: size for shard in shards for p, size in shard.intake.merger.sizes().items()}
        ahead = frozenset(p for shard in shards for p in shard.intake.merger.ahead)
        if sum(size for _, size in waiting.values()) >= MERGED_BYTES:
            ahead = frozenset(p for p, (records, _) in waiting.items() if records)
        return ahead | recovering | self._drain.read

    def _fill(self, pairing_bytes: int) -> Mapping[str, float]:
        """Return which share of its bound each buffer holds that all indices share."""
        waiting = self._inference.waiting
        return {
            "pairing": pairing_bytes / self._rules.max_buffered_bytes,
            "moments": self._lineup.fill,
            "outputs": Commits.fill(self._shards.values()),
            "memory": self._memory.share,
            **{stage: batches / QUEUE_BATCHES for stage, batches in waiting.items()},
        }

    def _report(self, now: int) -> None:
        self._last_report = now
        self._reporter.queues(self._inference.waiting)
        self._reporter.effort(self._ladder.step)
        self._reporter.shards(self._shards.values(), now)
        size = sum(shard.intake.pairing.size for shard in self._shards.values())
        self._reporter.filled(self._fill(size), self._shards.values())
        if size > self._rules.max_buffered_bytes:
            limit = self._rules.max_buffered_bytes
            raise FailedRunError(
                f"pairing holds {size} bytes, more than pairing.max_buffered_bytes ({limit}): raise"
                " it, lower pairing.idle_timeout_seconds, or spread the sources over more"
                " partitions"
            )
