"""What sources know together: standardised scores that lend a young source their tail."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

import numpy as np

from worker.scoring.conformal import (
    LEAST_SPREAD,
    MIN_STANDARD,
    Calibration,
    CalibrationRing,
    standard_of,
)

MAX_SOURCES = 32  # the first ones of a partition index; more would add little
MAX_EACH = 200  # scores of each source, spread over the sizes of all that it has
MAX_STALE = 128  # Moments between two looks at the rings,
STALE_SHARE = 8  # or an eighth as many as scores are known, but one of each source at least
LEAST_SHARE = 0.25  # of the spread that is usual among sources: none counts as more regular


class Pooled(NamedTuple):
    """The scores of an expert in units of their sources' spreads, each `least_spread` at least."""

    calibration: Calibration
    least_spread: float

    def p_value(
        self, score: float, own: CalibrationRing, tie: float, least_excess: float
    ) -> float | None:
        """Return that of a source with its `own` scores; None where these are too few.

        What its neighbours show says little of one that has shown nothing but the same so far, or
        nearly so: the first change is no miracle, and no less likely than its rank among its own.
        """
        if (standard := own.standard()) is None:
            return None
        spread = max(standard[1], self.least_spread)
        p = self.calibration.p_value((score - standard[0]) / spread, tie, least_excess / spread)
        return max(p, tie / (len(own) + 1)) if standard[1] <= self.least_spread else p


class Pool:
    """The scores of several sources, each less its median, in units of its spread.

    They are standardised anew at each look, by what is known of their source by then: the first
    medians of a young source are poor.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._members: dict[str, Mapping[str, CalibrationRing] | None] = dict.fromkeys(names)
        self._scores: dict[str, list[array[float]]] = {}  # of each source in order of size
        self._pooled: dict[str, Pooled] = {}  # made when they are asked for
        self._outdated = False
        self.size = 0  # the scores of the expert that has most

    def join(self, name: str, rings: Mapping[str, CalibrationRing]) -> None:
        """Let a source take part with its rings by expert, while there is room."""
        if name in self._members or len(self._members) < MAX_SOURCES:
            self._members[name] = rings

    def renew(self, name: str, rings: Mapping[str, CalibrationRing]) -> None:
        """Let a source go on with other rings in its place, from the next refresh on."""
        if name in self._members:
            self._members[name] = rings
            self._outdated = True

    def leave(self, name: str) -> None:
        """Let a source take part no more, from the next refresh on."""
        if name in self._members:
            del self._members[name]
            self._outdated = True

    @property
    def names(self) -> tuple[str, ...]:
        """The sources that take part, in the order in which they joined."""
        return tuple(self._members)

    def is_due(self, moments: int) -> bool:
        """Tell whether the rings are to be looked at, `moments` after the last look."""
        stale = max(len(self._members), self.size // STALE_SHARE)
        return self._outdated or moments >= min(stale, MAX_STALE)

    def refresh(self) -> None:
        """Look at the rings of those who take part."""
        rings = [each for each in self._members.values() if each is not None]
        names = {name for each in rings for name in each}
        self._scores = {name: _gathered(name, rings) for name in names}
        self._pooled = {}
        self._outdated = False
        self.size = max(map(_size, self._scores.values()), default=0)

    def pooled(self, expert: str, least: int) -> Pooled | None:
        """Return the standardised scores of an expert; None where there are fewer than `least`."""
        if expert not in self._pooled:
            scores = self._scores.get(expert, [])
            if _size(scores) < least:
                return None
            self._pooled[expert] = _pooled(scores)
        return self._pooled[expert]


def _gathered(name: str, members: Iterable[Mapping[str, CalibrationRing]]) -> list[array[float]]:
    rings = (each[name] for each in members)
    return [ring.spread(MAX_EACH) for ring in rings if len(ring.ordered) >= MIN_STANDARD]


def _size(scores: Iterable[array[float]]) -> int:
    return sum(map(len, scores))


def _pooled(scores: Sequence[array[float]]) -> Pooled:
    """Return them each less its source's median, in units of its spread.

    A source of which all scores are equal has no say in what spread is usual.
    """
    standards = [standard_of(each) for each in scores]
    spreads = [spread for _, spread in standards if spread > LEAST_SPREAD]
    least = max(LEAST_SHARE * median(spreads), LEAST_SPREAD) if spreads else LEAST_SPREAD
    units = [
        (np.array(each, np.float64) - middle) / max(spread, least)
        for each, (middle, spread) in zip(scores, standards, strict=True)
    ]
    return Pooled(Calibration(np.concatenate(units)), least)
