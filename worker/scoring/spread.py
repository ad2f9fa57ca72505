"""A few items of a long stream, spread ever more widely: dense while young, hours when old."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class SpreadSample(Generic[T]):
    """Keeps up to `capacity` items, one of each stride.

    The stride doubles each time that it is full, by which every other item goes; at `max_stride`
    the oldest goes instead.
    """

    def __init__(self, capacity: int, max_stride: int) -> None:
        self._capacity = capacity
        self._max_stride = max_stride
        self.stride = 1
        self.since = 0  # items offered since the last one that was kept
        self.kept: list[T] = []  # oldest first

    def is_next(self) -> bool:
        """Count one more item; tell whether it is one to `keep`."""
        self.since += 1
        if self.since < self.stride:
            return False
        self.since = 0
        return True

    def keep(self, item: T) -> None:
        """Keep the item that was counted last."""
        self.kept.append(item)
        if len(self.kept) <= self._capacity:
            return
        if self.stride < self._max_stride:
            self.stride *= 2
            self.kept = self.kept[::2]
        else:
            del self.kept[0]
