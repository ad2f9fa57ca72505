"""Merges the partitions of one index into one sequence, by append time.

The order of a record is (largest append time of its partition so far, topic name), so a replay of
the same log gives the same sequence however fetches interleave.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from worker.core.events import Record
from worker.core.ports import TopicPartition

MAX_RECORDS = 2000
MAX_BYTES = 32 * 1024 * 1024


class _Key(NamedTuple):
    append_time: int
    topic: str


class Merger:
    """Buffers what was fetched and gives it back in merged order.

    `max_records` and `max_bytes` bound each partition's queue: `ahead` names those to pause.
    """

    def __init__(
        self,
        partitions: Iterable[TopicPartition],
        max_records: int = MAX_RECORDS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._queues: dict[TopicPartition, deque[tuple[_Key, Record]]] = {
            partition: deque() for partition in sorted(partitions)
        }
        self._bytes = dict.fromkeys(self._queues, 0)
        self._newest = dict.fromkeys(self._queues, 0)  # of the records pushed,
        self._taken = dict.fromkeys(self._queues, 0)  # and of those taken out
        self._max_records = max_records
        self._max_bytes = max_bytes

    def restore(self, newest: Mapping[TopicPartition, int]) -> None:
        """Begin behind records of which the newest append times are given."""
        self._newest.update(newest)
        self._taken.update(newest)

    def newest(self, partition: TopicPartition) -> int:
        """Return the largest append time of the partition's records that were taken out."""
        return self._taken[partition]

    def push(self, partition: TopicPartition, records: Iterable[Record]) -> None:
        """Add records of one partition in offset order."""
        queue = self._queues[partition]
        for record in records:
            newest = max(self._newest[partition], record.timestamp)
            self._newest[partition] = newest
            queue.append((_Key(newest, partition.topic), record))
            self._bytes[partition] += record.size

    def pop(self, fully_read: frozenset[TopicPartition], until: int) -> Record | None:
        """Return the next record, or None while an earlier one may still come.

        An empty partition holds the others back unless it is in `fully_read` and the record was
        appended at or before `until` (now less a short wait for fetches under way).
        """
        heads = [(queue[0][0], partition) for partition, queue in self._queues.items() if queue]
        if not heads:
            return None
        key, partition = min(heads)
        for other, queue in self._queues.items():
            if queue or _Key(self._newest[other], other.topic) >= key:
                continue
            if other not in fully_read or key.append_time > until:
                return None
        self._taken[partition] = key.append_time
        record = self._queues[partition].popleft()[1]
        self._bytes[partition] -= record.size
        return record

    @property
    def ahead(self) -> frozenset[TopicPartition]:
        """The partitions whose queue is full."""
        return frozenset(
            partition
            for partition, queue in self._queues.items()
            if len(queue) >= self._max_records or self._bytes[partition] >= self._max_bytes
        )

    @property
    def fill(self) -> float:
        """The share of its bound that the fullest queue holds."""
        return max(
            max(len(queue) / self._max_records, self._bytes[partition] / self._max_bytes)
            for partition, queue in self._queues.items()
        )

    @property
    def size(self) -> int:
        """Buffered records."""
        return sum(map(len, self._queues.values()))

    def sizes(self) -> dict[TopicPartition, tuple[int, int]]:
        """Return the buffered records of each partition, and their bytes."""
        return {each: (len(queue), self._bytes[each]) for each, queue in self._queues.items()}
