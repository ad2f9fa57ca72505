"""The in-memory log with hooks at each step of a transaction, and thin wrappers of its ports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from random import Random
from typing import Any

from tests.simulation.plan import AT_COMMIT, Fault
from worker.adapters import memory_ports
from worker.adapters.memory_log import MemoryLog, Transaction
from worker.adapters.memory_ports import MemoryInputLog, MemoryOutbox
from worker.core.events import Record
from worker.core.ports import (
    Committed,
    CommitUnit,
    LogError,
    Output,
    Ownership,
    Polled,
    TopicPartition,
)
from worker.runtime.state_records import INDEX_KEY

GROUP = "mmworker"


class Crash(BaseException):
    """The process is gone: no handler of the worker's runs, nothing is tidied up."""


class SimLog(MemoryLog):
    """A MemoryLog on which the next transaction can be made to fail.

    It remembers offsets that went back, and states of partition indices beyond their compaction.
    """

    def __init__(self, topics: Mapping[str, int], clock: Callable[[], int]) -> None:
        super().__init__(topics, clock, ("snapshots",))
        self.armed: Fault | None = None
        self.fired: Counter[Fault] = Counter()
        self.went_back: list[str] = []
        self.indices: list[Record] = []
        self.current: Transaction | None = None
        self._appended = 0

    def append(self, output: Output, transaction: Transaction | None = None) -> None:
        if transaction is not None:
            self._appended = self._appended + 1 if transaction is self.current else 1
            self.current = transaction
            if self._appended > 1 and self._fires(Fault.CRASH_BETWEEN_APPENDS):
                raise Crash
        super().append(output, transaction)

    def complete(self, transaction: Transaction, *args: Any, **named: Any) -> None:
        self.current = transaction
        if self._fires(Fault.CRASH_BEFORE_OFFSETS):
            raise Crash
        if self._fires(Fault.ABORTED):
            raise LogError("aborted", "the broker aborted the transaction", retriable=True)
        before = dict(self.group(GROUP).offsets)
        super().complete(transaction, *args, **named)
        self._compare(before)
        records = [
            self._entries[partition][offset].record for partition, offset in transaction.places
        ]
        self.indices += [one for one in records if one.key == INDEX_KEY]
        if self._fires(Fault.CRASH_AFTER_OFFSETS):
            raise Crash
        if self._fires(Fault.UNKNOWN_OUTCOME):
            raise LogError("unknown_outcome", "the broker did not answer in time", retriable=True)

    def begin(self) -> None:
        """Let a crash happen before anything of a unit is written."""
        self.current = None
        if self._fires(Fault.CRASH_BEFORE_APPEND):
            raise Crash

    def _compare(self, before: Mapping[TopicPartition, Committed]) -> None:
        after = self.group(GROUP).offsets
        self.went_back += [
            f"{partition.topic}-{partition.partition} from {at.offset} to {after[partition].offset}"
            for partition, at in before.items()
            if after[partition].offset < at.offset
        ]

    def _fires(self, fault: Fault) -> bool:
        if self.armed is not fault:
            return False
        self.armed = None
        self.fired[fault] += 1
        return True


assert all(fault in AT_COMMIT for fault in (Fault.ABORTED, Fault.UNKNOWN_OUTCOME))


class SimInput:
    """An InputLog that returns some of what there is. A blind one sees nothing of its eviction."""

    def __init__(
        self, log: MemoryLog, topics: tuple[str, ...], random: Random, max_fetch: int, process: str
    ) -> None:
        self.inner = MemoryInputLog(log, GROUP, topics, process=process)
        self.blind = 0  # polls
        self.fail_next = False
        self.pause_next: Callable[[], None] | None = None
        self._random = random
        self._max_fetch = max_fetch
        self._paused: frozenset[TopicPartition] = frozenset()
        self._last: Polled | None = None

    def close(self) -> None:
        self.inner.close()

    @property
    def member(self) -> str:
        return self.inner.member

    def poll(self, timeout: float) -> Polled:
        if self.fail_next:
            self.fail_next = False
            raise LogError("poll_failed", "the broker went away", retriable=True)
        if self.blind and self._last is not None:
            self.blind -= 1
            return replace(self._last, records={})
        assigned = sorted(self._last.assignment) if self._last else []
        withheld = {each for each in assigned if self._random.random() < 0.2}
        fetch = self._random.randint(1, self._max_fetch)
        usual = memory_ports._MAX_POLL_RECORDS
        memory_ports._MAX_POLL_RECORDS = fetch
        self.inner.pause(self._paused | withheld)
        self._last = self.inner.poll(timeout)
        self.inner.pause(self._paused)
        memory_ports._MAX_POLL_RECORDS = usual
        if self.pause_next is not None:
            pause, self.pause_next = self.pause_next, None
            pause()
        return self._last

    def seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        self.inner.seek(offsets)

    def pause(self, partitions: frozenset[TopicPartition]) -> None:
        self._paused = partitions
        self.inner.pause(partitions)


class LateFuture(Future[None]):
    """What it stands for is done when somebody has looked at it often enough, or waits for it."""

    def __init__(self, work: Callable[[], Future[None]], looks: int) -> None:
        super().__init__()
        self._work = work
        self._looks = looks

    def done(self) -> bool:
        self._looks -= 1
        if self._looks < 0:
            self._do()
        return super().done()

    def result(self, timeout: float | None = None) -> None:
        self._do()
        super().result(timeout)

    def _do(self) -> None:
        if super().done():
            return
        error = self._work().exception()
        if error is None:
            self.set_result(None)
        else:
            self.set_exception(error)


class SimOutbox:
    """An Outbox whose units are committed a while after they were submitted."""

    def __init__(self, log: SimLog, random: Random) -> None:
        self.inner = MemoryOutbox(log, GROUP)
        self._log = log
        self._random = random

    def submit(self, unit: CommitUnit, ownership: Ownership) -> Future[None]:
        def commit() -> Future[None]:
            self._log.begin()
            return self.inner.submit(unit, ownership)

        return LateFuture(commit, self._random.choice((0, 0, 1, 4)))

    def close(self, timeout: float) -> None:
        self.inner.close(timeout)
