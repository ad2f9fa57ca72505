"""A log in memory behind the same ports: for tests, simulations, and runs without Kafka.

It has topics with partitions, LogAppendTime, transactions and consumer groups as Kafka has them, in
one process. It is deterministic and thread-safe; there is one lock, and time comes from `clock`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from worker.adapters.memory_groups import Group
from worker.core.events import Record
from worker.core.partitioner import placement
from worker.core.ports import (
    Committed,
    LogError,
    Output,
    Ownership,
    TopicPartition,
)


class Transaction:
    """Appended records that become visible, with offsets, at `commit`, or never, after `abort`.

    While it is open, readers do not pass its first record (the last stable offset).
    """

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self.places: list[tuple[TopicPartition, int]] = []  # of its records
        self.committed = False
        self.open = True

    def append(self, output: Output) -> None:
        """Append a record that is not visible yet."""
        self._log.append(output, self)

    def commit(
        self, group: str, offsets: Mapping[TopicPartition, Committed], owner: Ownership
    ) -> None:
        """Make all of it visible. Raises LogError, and aborts, where the ownership is outdated."""
        self._log.complete(self, group, offsets, owner)

    def abort(self) -> None:
        """Let none of it be visible ever. Without effect after the end of the transaction."""
        self.open = False


@dataclass(frozen=True, slots=True)
class _Entry:
    record: Record
    transaction: Transaction | None
    dropped: bool = False

    @property
    def open(self) -> bool:
        return self.transaction is not None and self.transaction.open

    @property
    def visible(self) -> bool:
        return not self.dropped and (self.transaction is None or self.transaction.committed)

    def without_content(self) -> _Entry:
        """Return what keeps its place in the log but holds nothing."""
        empty = replace(self.record, key=None, value=None, headers=())
        return replace(self, record=empty, dropped=True)


class MemoryLog:
    """Topics and groups. `topics` gives the numbers of partitions, `clock` microseconds.

    Of `compacted` topics only the last record of each key is kept, from its commit on.
    """

    def __init__(
        self,
        topics: Mapping[str, int],
        clock: Callable[[], int],
        compacted: Collection[str] = (),
    ) -> None:
        self.topics = dict(topics)
        self.changed = threading.Condition(threading.RLock())
        self._clock = clock
        self._entries: dict[TopicPartition, list[_Entry]] = {
            TopicPartition(topic, index): []
            for topic, count in topics.items()
            for index in range(count)
        }
        self._stable = dict.fromkeys(self._entries, 0)
        self._beginnings = dict.fromkeys(self._entries, 0)
        self._groups: dict[str, Group] = {}
        self._last: dict[str, dict[tuple[int, bytes | None], int]] = {
            topic: {} for topic in compacted
        }

    def append(self, output: Output, transaction: Transaction | None = None) -> None:
        """Append a record; the append time of a partition never goes back. Raises LogError."""
        if output.topic not in self.topics:
            raise LogError("unknown_topic", f"there is no topic {output.topic}", retriable=False)
        partition = TopicPartition(output.topic, placement(output, self.topics[output.topic]))
        with self.changed:
            entries = self._entries[partition]
            newest = entries[-1].record.timestamp if entries else 0
            record = Record(
                *partition,
                offset=len(entries),
                timestamp=max(newest, self._clock()),
                key=output.key,
                value=output.value,
                headers=output.headers,
            )
            entries.append(_Entry(record, transaction))
            if transaction is not None:
                transaction.places.append((partition, record.offset))
            self.changed.notify_all()

    def complete(
        self,
        transaction: Transaction,
        group: str,
        offsets: Mapping[TopicPartition, Committed],
        owner: Ownership,
    ) -> None:
        """Commit a transaction for a member of a group; see Transaction.commit."""
        with self.changed:
            if not transaction.open:
                raise LogError("transaction_ended", "the transaction is over", retriable=False)
            transaction.open = False
            members = self.group(group)
            if not members.is_current(owner.token, owner.generation):
                raise LogError("commit_failed", "the group has a newer generation", retriable=True)
            members.offsets.update(offsets)
            transaction.committed = True
            self._compact(transaction.places)
            self.changed.notify_all()

    def group(self, name: str) -> Group:
        """Return the group of this name; it begins to exist when asked for."""
        return self._groups.setdefault(name, Group(self.topics))

    def evict(self, group: str, member: str) -> None:
        """Take a member out of its group, as brokers do when they hear nothing from it."""
        with self.changed:
            self.group(group).leave(member)

    def end(self, partition: TopicPartition) -> int:
        """Return the last stable offset: that of the first record of an open transaction."""
        with self.changed:
            entries, stable = self._entries[partition], self._stable[partition]
            while stable < len(entries) and not entries[stable].open:
                stable += 1
            self._stable[partition] = stable
            return stable

    def beginning(self, partition: TopicPartition) -> int:
        """Return the first offset that is kept."""
        return self._beginnings[partition]

    def read(self, partition: TopicPartition, start: int, limit: int) -> tuple[list[Record], int]:
        """Return up to `limit` committed records from `start` on, and the position behind them."""
        with self.changed:
            records: list[Record] = []
            for entry in self._entries[partition][start : self.end(partition)]:
                if len(records) == limit:
                    break
                start = entry.record.offset + 1
                if entry.visible:
                    records.append(entry.record)
            return records, start

    def forget(self, group: str) -> None:
        """Drop the records that the group has committed, as retention does; nobody reads them."""
        with self.changed:
            for partition, (offset, _) in self.group(group).offsets.items():
                entries = self._entries[partition]
                for index in range(self._beginnings[partition], min(offset, len(entries))):
                    entries[index] = entries[index].without_content()
                self._beginnings[partition] = max(self._beginnings[partition], offset)

    def _compact(self, places: Iterable[tuple[TopicPartition, int]]) -> None:
        for partition, offset in places:
            last = self._last.get(partition.topic)
            if last is None:
                continue
            entries = self._entries[partition]
            key = (partition.partition, entries[offset].record.key)
            if (earlier := last.get(key)) is not None:
                entries[earlier] = entries[earlier].without_content()
            last[key] = offset

    def read_all(self, topic: str) -> list[Record]:
        """Return all committed records of a topic, partition by partition."""
        partitions = [TopicPartition(topic, index) for index in range(self.topics[topic])]
        return [
            record
            for partition in partitions
            for record in self.read(partition, 0, len(self._entries[partition]))[0]
        ]
