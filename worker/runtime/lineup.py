"""The Moments of all partition indices on their way into the inference, in turns."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import NamedTuple

from worker.core.effort import Ladder
from worker.core.moment import Effort, Moment
from worker.core.ports import TopicPartition
from worker.core.rfc3339 import seconds
from worker.runtime.inference import Batch, Inference
from worker.runtime.shard import Shard

MERGE_WAIT = seconds(0.15)  # for what was appended and could not be read when the ends were asked
BATCH_MOMENTS = 16
STRAINED_BATCH_MOMENTS = 4  # what is on its way keeps the effort that it was given
BACKLOG_RECORDS = 1000  # unread: with so many, and no strain, batches are larger
BACKLOG_BATCH_MOMENTS = 32
READY_MOMENTS = 32  # closed Moments that may wait for a place in the inference
UNDER_WAY_BYTES = 128 * 1024 * 1024  # of the records of Moments that are closed and not judged


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


class _Ready(NamedTuple):
    """A Moment that closed when its index had taken in what was appended until `clock`."""

    shard: Shard
    moment: Moment
    clock: int


class Lineup:
    """Whose turn it is, and what waits for a place. `shards` are the worker's, by index.

    The `ladder` says how much of each Moment is worked on.
    """

    def __init__(self, shards: Mapping[int, Shard], inference: Inference, ladder: Ladder) -> None:
        self._shards = shards
        self._inference = inference
        self._ladder = ladder
        self._clocks: dict[int, _AppendClock] = {}
        self._turns: deque[int] = deque()  # whose turn is next first
        self._ready: deque[_Ready] = deque()
        self._leaders: deque[_Ready] = deque()  # the first Moment of each batch in the inference

    def __len__(self) -> int:
        return len(self._ready)

    def join(self, index: int, append_time: int, now: int) -> None:
        """Let an index take part, whose newest record was appended at `append_time`."""
        self._clocks[index] = _AppendClock()
        self.hear(index, append_time, now)
        self._turns.append(index)

    def leave(self, shard: Shard) -> None:
        """Forget an index, and its Moments that are not in the inference yet."""
        del self._clocks[shard.index]
        self._turns.remove(shard.index)
        self._ready = deque(each for each in self._ready if each.shard is not shard)

    def hear(self, index: int, append_time: int, now: int) -> None:
        """Note that a record of the index was appended at `append_time`."""
        self._clocks[index].hear(append_time, now)

    def close(
        self, caught_up: frozenset[TopicPartition], drained: frozenset[TopicPartition], now: int
    ) -> bool:
        """Let the indices close Moments, one each in turn; return whether there is no more room.

        `caught_up` was fully read at `now`; of `drained` nothing more is taken in.
        """
        closing = {index: self._closing(index, caught_up, drained, now) for index in self._turns}
        done = 0
        while done < len(self._turns):
            if self.fill >= 1:
                return True
            index = self._turns[0]
            self._turns.rotate(-1)
            moment = next(closing[index], None)
            done = 0 if moment else done + 1
            if moment:
                shard = self._shards[index]
                self._ready.append(_Ready(shard, moment, shard.clock))
        return False

    def feed(self, now: int, unread: int = 0) -> None:
        """Give the inference what it has room for, while so many records are `unread`."""
        self._ladder.look(self._wait(now), now)
        while self._ready and self._inference.has_room:
            count = min(len(self._ready), self._batch_moments(unread))
            taken = [self._ready.popleft() for _ in range(count)]
            shards = tuple(each.shard for each in taken)
            references = tuple(shard.references for shard in shards)
            moments = tuple(map(self._with_effort, taken))
            self._inference.submit(Batch(shards, moments, references))
            self._leaders.append(taken[0])

    @property
    def fill(self) -> float:
        """The share of the Moments that may wait, or of the bytes of all that are under way."""
        size = sum(shard.intake.gate.out_bytes for shard in self._shards.values())
        return max(len(self._ready) / READY_MOMENTS, size / UNDER_WAY_BYTES)

    def _batch_moments(self, unread: int) -> int:
        """Return how many Moments may go on together."""
        if self._ladder.may_leave_out_more:
            return STRAINED_BATCH_MOMENTS
        return BACKLOG_BATCH_MOMENTS if unread >= BACKLOG_RECORDS else BATCH_MOMENTS

    def _wait(self, now: int) -> int:
        """Return for how long what comes out next could be read already; 0 where nothing does.

        Of an index that is another worker's by now it does not count.
        """
        while len(self._leaders) > self._inference.in_flight:
            self._leaders.popleft()
        first = next(filter(self._owns, chain(self._leaders, self._ready)), None)
        if first is None:
            return 0
        return max(0, self._clocks[first.shard.index].append_time(now) - first.clock)

    def _owns(self, ready: _Ready) -> bool:
        return self._shards.get(ready.shard.index) is ready.shard

    def _with_effort(self, ready: _Ready) -> Moment:
        has_alert = ready.shard.has_alert(ready.moment.source)
        effort = self._ladder.effort(ready.moment, has_alert=has_alert)
        return ready.moment if effort is Effort.FULL else replace(ready.moment, effort=effort)

    def _closing(
        self,
        index: int,
        caught_up: frozenset[TopicPartition],
        drained: frozenset[TopicPartition],
        now: int,
    ) -> Iterator[Moment]:
        shard = self._shards[index]
        if shard.partitions <= drained:
            return shard.drain()
        until = self._clocks[index].append_time(now) - MERGE_WAIT
        return shard.advance((caught_up | drained) & shard.partitions, until)
