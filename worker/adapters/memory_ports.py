"""The ports over a log in memory; see `memory_log`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future

from worker.adapters.memory_log import MemoryLog, Transaction
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

_MAX_POLL_RECORDS = 500


class MemoryInputLog:
    """An InputLog. With `wait` a poll without records waits for them, in real time."""

    def __init__(
        self,
        log: MemoryLog,
        group: str,
        topics: Sequence[str],
        *,
        wait: bool = False,
        process: str = "",
    ) -> None:
        self._log = log
        self._wait = wait
        self._group_name = group
        self._topics = tuple(topics)
        self._positions: dict[TopicPartition, int] = {}
        self._paused: frozenset[TopicPartition] = frozenset()
        self._generation = -1
        with log.changed:
            self._group = log.group(group)
            self.member = self._group.join(self._topics, process)

    def poll(self, timeout: float) -> Polled:
        """Return what is there; see the class for `timeout`, in seconds."""
        with self._log.changed:
            self._follow_group()
            records = self._take()
            if not records and self._wait:
                self._log.changed.wait(timeout)
                records = self._take()
            return self._polled(records)

    def pause(self, partitions: frozenset[TopicPartition]) -> None:
        """Let exactly these partitions be paused."""
        self._paused = partitions

    def seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Read on from these offsets."""
        with self._log.changed:
            self._positions |= {p: at for p, at in offsets.items() if p in self._positions}

    def close(self) -> None:
        """Leave the group."""
        self._log.evict(self._group_name, self.member)

    def _follow_group(self) -> None:
        """Take part in a rebalance; retained partitions keep their positions."""
        if not self._group.has(self.member):  # evicted: the caller is to see that once
            self.member = self._group.join(self._topics, self._group.process(self.member))
            self._positions, self._generation = {}, -1
            return
        generation = self._group.sync(self.member)
        if generation != self._generation:
            self._generation = generation
            self._positions = {
                partition: self._positions.get(partition, self._committed(partition))
                for partition in self._group.assignment(self.member)
            }

    def _committed(self, partition: TopicPartition) -> int:
        return self._group.offsets.get(partition, Committed(0)).offset

    def _take(self) -> dict[TopicPartition, list[Record]]:
        """Read on, unless the group waits for other members: then all fetching stands still."""
        taken: dict[TopicPartition, list[Record]] = {}
        left = 0 if self._group.rebalancing else _MAX_POLL_RECORDS
        for partition in sorted(set(self._positions) - self._paused):
            records, position = self._log.read(partition, self._positions[partition], left)
            self._positions[partition] = position
            left -= len(records)
            if records:
                taken[partition] = records
        return taken

    def _polled(self, records: dict[TopicPartition, list[Record]]) -> Polled:
        lag = {each: self._log.end(each) - at for each, at in self._positions.items()}
        ownership = None
        if self._generation >= 0:
            process = self._group.process(self.member)
            ownership = Ownership(self._generation, process, self.member)
        return Polled(
            records=records,
            assignment=frozenset(self._positions),
            ownership=ownership,
            caught_up=frozenset(each for each, behind in lag.items() if behind <= 0),
            lag=lag,
            positions=dict(self._positions),
        )


class MemoryStateLog:
    """A StateLog of a group."""

    def __init__(self, log: MemoryLog, group: str) -> None:
        self._log = log
        self._group = group

    def committed(
        self, partitions: Iterable[TopicPartition]
    ) -> Mapping[TopicPartition, Committed] | None:
        """Return what is committed; here offsets and transactions end together."""
        with self._log.changed:
            offsets = self._log.group(self._group).offsets
            return {each: offsets[each] for each in partitions if each in offsets}

    def bounds(self, partition: TopicPartition) -> tuple[int, int]:
        """Return the first offset that is kept and the last stable one."""
        return self._log.beginning(partition), self._log.end(partition)

    def read(self, partition: TopicPartition, start: int) -> Iterator[Record]:
        """Yield the committed records."""
        yield from self._log.read(partition, start, self._log.end(partition))[0]

    def processes(self) -> frozenset[str]:
        """Return the ids of the processes that are in the group."""
        with self._log.changed:
            return self._log.group(self._group).processes

    def unblock(self) -> None:
        """A transaction ends with the call that it is made in."""

    def close(self) -> None:
        """Nothing is open."""


class MemoryOutbox:
    """An Outbox whose units are committed within `submit`."""

    def __init__(self, log: MemoryLog, group: str) -> None:
        self._log = log
        self._group = group
        self._failed = False

    def submit(self, unit: CommitUnit, ownership: Ownership) -> Future[None]:
        """Commit. A unit without offsets is a ValueError, as with Kafka."""
        if not unit.offsets:
            raise ValueError("a unit carries the offsets of its inputs, else it is not fenced")
        future: Future[None] = Future()
        try:
            self._commit(unit, ownership)
            future.set_result(None)
        except LogError as error:
            self._failed = True
            future.set_exception(error)
        return future

    def close(self, timeout: float) -> None:  # noqa: ARG002 - nothing is ever under way
        """Refuse later units."""
        self._failed = True

    def _commit(self, unit: CommitUnit, ownership: Ownership) -> None:
        if self._failed:
            raise LogError("refused", "refused after an earlier failure", retriable=True)
        transaction = Transaction(self._log)
        try:
            for output in unit.outputs:
                transaction.append(output)
            transaction.commit(self._group, unit.offsets, ownership)
        finally:
            transaction.abort()


class MemorySink:
    """A RecordSink."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    def append(self, output: Output) -> None:
        """Append at once. Raises LogError."""
        self._log.append(output)

    def flush(self) -> None:
        """All is in the log already."""
