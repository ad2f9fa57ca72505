"""When so much ends as a dead letter that something larger than a camera must be wrong."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

WINDOW = 1000  # records that ended last, which the ratio is about
LEAST = 100  # of them that are left to judge without the worst source


class DeadLetter(NamedTuple):
    """A record that ended so; `source` tells one producer from another."""

    source: bytes
    topic: str
    reason: str


Ending = DeadLetter | None  # None: accepted, whatever became of it then


@dataclass(frozen=True, slots=True)
class DeadLetterRules:
    """Limits that are reached at `in_a_row` dead letters, or at a `ratio` of them; 0 is no limit.

    The source with the most dead letters is left out of the ratio, in (0, 1]: so one broken camera
    never reaches it, however much it sends.
    """

    in_a_row: int = 0
    ratio: float = 0.0


class DeadLetterLimit:
    """Counts from the start of a session on. `exceeded` is a sentence once a limit is reached."""

    def __init__(self, rules: DeadLetterRules) -> None:
        self._rules = rules
        self._row = Counter[tuple[str, str]]()
        self._last: deque[Ending] = deque()
        self._sources = Counter[bytes]()
        self._kinds = Counter[tuple[str, str]]()  # topic and reason
        self.exceeded: str | None = None

    def add(self, endings: Iterable[Ending]) -> None:
        """Note how records ended, in their order."""
        for ending in endings:
            self._note(ending)
            self.exceeded = self.exceeded or self._judged()

    def _note(self, ending: Ending) -> None:
        if len(self._last) == WINDOW:
            self._count(self._last.popleft(), -1)
        self._last.append(ending)
        self._count(ending, 1)
        if ending is None:
            self._row.clear()
        else:
            self._row[ending.topic, ending.reason] += 1

    def _count(self, ending: Ending, by: int) -> None:
        if ending is None:
            return
        self._kinds[ending.topic, ending.reason] += by
        self._sources[ending.source] += by
        if not self._sources[ending.source]:
            del self._sources[ending.source]

    def _judged(self) -> str | None:
        row, dead = self._row.total(), self._kinds.total()
        if 0 < self._rules.in_a_row <= row:
            what, limit = f"{row} records in a row", f"max_dead_letters_in_a_row ({row})"
            return _sentence(what, self._row, limit)
        if not self._rules.ratio or len(self._last) < WINDOW or dead < self._rules.ratio * WINDOW:
            return None
        worst = max(self._sources.values())
        others = WINDOW - worst
        if others < LEAST or dead - worst < self._rules.ratio * others:
            return None
        what, limit = f"{dead} of the last {WINDOW} records", "max_dead_letter_ratio"
        return _sentence(what, self._kinds, f"{limit} ({self._rules.ratio:g})")


def _sentence(what: str, kinds: Counter[tuple[str, str]], limit: str) -> str:
    ((topic, reason), count) = kinds.most_common(1)[0]
    return (
        f"{what} became dead letters, {count} of them from topic {topic} with reason {reason}: look"
        f" at `mmworker dead-letters list --reason {reason}` and mend the cause, or change"
        f" limits.{limit}"
    )
