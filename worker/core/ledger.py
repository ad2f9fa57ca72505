"""Which offsets are still needed: the committed one never passes a record that somebody holds."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping

from worker.core.ports import TopicPartition


class OffsetLedger:
    """Offsets of several partitions, added in reading order, each with a count of its holders."""

    def __init__(self) -> None:
        self._order: dict[TopicPartition, deque[int]] = {}
        self._holders: dict[TopicPartition, dict[int, int]] = {}
        self._next: dict[TopicPartition, int] = {}

    def restore(
        self, following: Mapping[TopicPartition, int], held: Mapping[TopicPartition, Counter[int]]
    ) -> None:
        """Begin with the next offsets to add, and with the holders of earlier ones."""
        for partition, offset in following.items():
            holders = held.get(partition, Counter())
            self._order[partition] = deque(sorted(holders))
            self._holders[partition] = dict(holders)
            self._next[partition] = offset

    def is_held(self, partition: TopicPartition, offset: int) -> bool:
        """Tell whether somebody holds the record."""
        return self._holders.get(partition, {}).get(offset, 0) > 0

    @property
    def following(self) -> Mapping[TopicPartition, int]:
        """The next offset to add, per partition."""
        return self._next

    def add(self, partition: TopicPartition, offset: int) -> None:
        """Note that a record was read: it has one holder. Offsets of a partition must rise."""
        if offset < self._next.get(partition, 0):
            raise ValueError(f"offset {offset} of {partition} was read before")
        self._order.setdefault(partition, deque()).append(offset)
        self._holders.setdefault(partition, {})[offset] = 1
        self._next[partition] = offset + 1

    def hold(self, partition: TopicPartition, offset: int) -> None:
        """Add a holder to a record that has at least one, or was let go (then nothing happens)."""
        if offset in self._holders[partition]:
            self._holders[partition][offset] += 1

    def release(self, partition: TopicPartition, offset: int) -> None:
        """Take one holder away."""
        holders, order = self._holders[partition], self._order[partition]
        if offset in holders:
            holders[offset] -= 1
        while order and holders[order[0]] == 0:
            del holders[order.popleft()]

    def committable(self) -> Mapping[TopicPartition, int]:
        """Return per partition the lowest offset that is held, else the next one to read."""
        return {
            partition: self._order[partition][0] if self._order[partition] else following
            for partition, following in self._next.items()
        }

    @property
    def unresolved(self) -> int:
        """How many records are held by somebody."""
        return sum(1 for holders in self._holders.values() for count in holders.values() if count)
