"""The memories of the sources of a partition index: who is remembered, and who is stored next."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator

from worker.core.source_state import LearnedFrom
from worker.scoring.memory import SourceMemory
from worker.scoring.pool import MAX_STALE, Pool
from worker.scoring.scored import ScoringRules
from worker.scoring.state import State

MAX_SOURCES = 10_000  # remembered, the last ones heard; each grows to 1 MB
REPLAY_MOMENTS = 1000  # of all sources together, after which a source's state is to be stored anew,
REPLAY_EACH = 4  # but no fewer than so many for each source: storing costs as much as eight


class MissingMomentsError(Exception):
    """Not all Moments could be learned again."""


class Sources:
    """Memories by source, the longest unheard one first, of which it is the first to go.

    All of them are offered to the `pool`.
    """

    def __init__(self, rules: ScoringRules, pool: Pool) -> None:
        self._rules = rules
        self._pool = pool
        self._memories: OrderedDict[str, SourceMemory] = OrderedDict()
        self._unstored: OrderedDict[str, None] = OrderedDict()  # by their first Moment not stored
        self._forgotten: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return iter(self._memories)

    @property
    def fill(self) -> float:
        """The share of the sources that may be remembered."""
        return len(self._memories) / MAX_SOURCES

    def get(self, name: str) -> SourceMemory | None:
        """Return what is remembered of a source, if anything is."""
        return self._memories.get(name)

    def blank(self, moment: int = 0) -> SourceMemory:
        """Return a memory without anything in it, as of before the `moment`-th Moment."""
        return self._blank(LearnedFrom(None, moment, moment))

    def learning(self, name: str, moment: int) -> SourceMemory:
        """Return the memory of a source that learns the `moment`-th Moment of the index now."""
        memory = self._memories.get(name)
        if memory is None:
            memory = self._memories[name] = self.blank(moment)
            self._pool.join(name, memory.rings)
            if len(self._memories) > MAX_SOURCES:
                self._forget(next(iter(self._memories)))
        self._memories.move_to_end(name)
        first = memory.learned.first if name in self._unstored else moment
        self._unstored.setdefault(name)
        memory.learned = LearnedFrom(memory.learned.snapshot, first, moment)
        return memory

    def restart(self, name: str, moment: int) -> None:
        """Know nothing of a source any more; it keeps its place in the pool."""
        memory = self._memories[name] = self.blank(moment)
        self._unstored.pop(name, None)
        self._pool.renew(name, memory.rings)

    def due(self, moment: int) -> Iterator[tuple[str, State]]:
        """Yield the sources whose numbers are to be stored after the `moment`-th Moment.

        A few at a time, as many as learned in a while: call it right after each look of the pool.
        """
        count = len(self._unstored)
        replay = max(REPLAY_MOMENTS, REPLAY_EACH * count)
        for _ in range(1 + MAX_STALE * count // replay):
            name = next(iter(self._unstored), None)
            if name is None or moment - self._memories[name].learned.first < replay:
                return
            del self._unstored[name]
            memory = self._memories[name]
            memory.learned = LearnedFrom(moment, moment + 1, moment)
            yield name, memory.state()

    def forgotten(self) -> list[str]:
        """Return the sources that were forgotten since the last call."""
        names, self._forgotten = self._forgotten, []
        return names

    def restore(self, name: str, learned: LearnedFrom, numbers: State) -> None:
        """Take up the numbers of a source. Raises KeyError or ValueError where they do not fit."""
        memory = self._blank(learned)
        memory.restore(numbers)
        self._memories[name] = memory
        self._pool.join(name, memory.rings)

    def restored(self, learned: Iterable[tuple[str, LearnedFrom]]) -> None:
        """End it. Raises MissingMomentsError where a source did not learn all that it should."""
        by_age = sorted(learned, key=lambda pair: pair[1].last)
        for name, each in by_age:
            memory = self._memories.get(name)
            if memory is None or memory.learned.last != each.last:
                raise MissingMomentsError
        self._memories = OrderedDict((name, self._memories[name]) for name, _ in by_age)
        for name, each in by_age:
            self._memories[name].learned = each
        unstored = [pair for pair in by_age if pair[1].first <= pair[1].last]
        unstored.sort(key=lambda pair: pair[1].first)
        self._unstored = OrderedDict.fromkeys(name for name, _ in unstored)

    def _blank(self, learned: LearnedFrom) -> SourceMemory:
        return SourceMemory(self._rules.text_dim, learned, self._rules.added)

    def _forget(self, name: str) -> None:
        del self._memories[name]
        self._unstored.pop(name, None)
        self._pool.leave(name)
        self._forgotten.append(name)
