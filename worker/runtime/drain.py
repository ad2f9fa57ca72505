"""Draining: what was in the log at the start is judged, and what is open is closed.

After it no event is held in any state, so settings that give events their meaning may change.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass

import structlog

from worker.core.checkpoint import CheckpointError, read_checkpoint
from worker.core.ports import Committed, Polled, StateLog, TopicPartition
from worker.core.rfc3339 import seconds

LOOK_INTERVAL = seconds(1)

log = structlog.get_logger(__name__)


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


class Others:
    """Looks whether the partitions that other members own are drained as well.

    One that is gone without a word keeps its partitions for a while, and they come here then.
    What is read is read by `background`.
    """

    def __init__(
        self, background: Executor, state: StateLog, partitions: Collection[TopicPartition]
    ) -> None:
        self._background = background
        self._state = state
        self._all = frozenset(partitions)
        self._ends: dict[TopicPartition, int] = {}
        self._asked: frozenset[TopicPartition] = frozenset()
        self._answer: Future[list[TopicPartition]] | None = None
        self._next = 0
        self._told: list[int] = []

    def are_drained(self, own: Collection[TopicPartition], now: int) -> bool:
        """Tell whether nothing waits in any but the `own` partitions. `now` in microseconds.

        Raises LogError.
        """
        others = self._all.difference(own)
        if not others:
            return True
        if self._answer is None:
            if not 0 <= self._next - now <= LOOK_INTERVAL:
                self._asked, self._next = others, now + LOOK_INTERVAL
                self._answer = self._background.submit(self._left, others)
            return False
        if not self._answer.done():
            return False
        left, self._answer = self._answer.result(), None
        indices = sorted({each.partition for each in left})
        if indices and indices != self._told:
            log.warning("waiting for partitions of other workers", partitions=indices)
        self._told = indices
        return not left and self._asked == others

    def _left(self, partitions: Collection[TopicPartition]) -> list[TopicPartition]:
        """Return the partitions of which something is not read yet, or held."""
        for each in partitions:
            if each not in self._ends:
                self._ends[each] = self._state.bounds(each)[1]
        committed = self._state.committed(partitions)
        return [
            each
            for each in partitions
            if committed is None or not self._is_drained(each, committed)
        ]

    def _is_drained(
        self, partition: TopicPartition, committed: Mapping[TopicPartition, Committed]
    ) -> bool:
        if (found := committed.get(partition)) is None:
            return False
        try:
            checkpoint = read_checkpoint(found.metadata)
        except CheckpointError:
            return False  # its owner has more to say about that
        if checkpoint is None or not checkpoint.offset == checkpoint.taken == found.offset:
            return False
        end = self._ends[partition]
        if found.offset >= end:
            return True
        unread = next(iter(self._state.read(partition, found.offset)), None)
        return unread is None or unread.offset >= end  # else there are only ends of transactions
