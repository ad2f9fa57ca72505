"""Draining: what was in the log at the start is judged, and what is open is closed.

After it no event is held in any state, so settings that give events their meaning may change.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from worker.core.ports import Polled, TopicPartition


@dataclass(frozen=True, slots=True)
class Drained:
    """What a drain came to: the partition indices, and the Moments that it closed early."""

    indices: tuple[int, ...]
    moments: int


class Drain:
    """Up to where partitions are read: their ends as of when they were taken up here.

    Unless it `is_wanted`, nothing is ever read to its end.
    """

    def __init__(self, is_wanted: bool) -> None:
        self.is_wanted = is_wanted
        self._ends: dict[TopicPartition, int] = {}
        self._read: set[TopicPartition] = set()

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        """Begin anew with partitions, which are taken up or gone."""
        for each in partitions:
            self._ends.pop(each, None)
            self._read.discard(each)

    def follow(self, polled: Polled, partitions: Collection[TopicPartition]) -> None:
        """Note how far those of the partitions are read that a poll tells of."""
        for each in partitions if self.is_wanted else ():
            if (position := polled.positions.get(each)) is None:
                continue
            end = self._ends.setdefault(each, position + polled.lag.get(each, 0))
            if position >= end:
                self._read.add(each)

    @property
    def read(self) -> frozenset[TopicPartition]:
        """The partitions that are read to their end: nothing more is taken in from them."""
        return frozenset(self._read)
