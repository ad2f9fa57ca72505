"""What sources know together: standardised scores that lend a young source their tail."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from worker.scoring.conformal import MIN_STANDARD, Calibration, CalibrationRing, standard_of

MAX_SOURCES = 32  # the first ones of a partition index; more would add little
MAX_EACH = 200  # scores of each source, spread over the sizes of all that it has
MAX_STALE = 128  # Moments between two looks at the rings,
STALE_SHARE = 8  # or an eighth as many as scores are known, but one of each source at least


class Pool:
    """The scores of several sources, each less its median, in units of its spread.

    They are standardised anew at each look, by what is known of their source by then: the first
    medians of a young source are poor.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._members: dict[str, Mapping[str, CalibrationRing] | None] = dict.fromkeys(names)
        self._scores: dict[str, list[array[float]]] = {}  # of each source in order of size
        self._calibrations: dict[str, Calibration] = {}  # made when they are asked for
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
        self._calibrations = {}
        self._outdated = False
        self.size = max(map(_size, self._scores.values()), default=0)

    def calibration(self, expert: str, least: int) -> Calibration | None:
        """Return the standardised scores of an expert; None where there are fewer than `least`."""
        if expert not in self._calibrations:
            scores = self._scores.get(expert, [])
            if _size(scores) < least:
                return None
            self._calibrations[expert] = Calibration(np.concatenate(list(map(_standard, scores))))
        return self._calibrations[expert]


def _gathered(name: str, members: Iterable[Mapping[str, CalibrationRing]]) -> list[array[float]]:
    rings = (each[name] for each in members)
    return [ring.spread(MAX_EACH) for ring in rings if len(ring.ordered) >= MIN_STANDARD]


def _size(scores: Iterable[array[float]]) -> int:
    return sum(map(len, scores))


def _standard(scores: array[float]) -> NDArray[np.float64]:
    """Return them less their median, in units of their spread."""
    median, spread = standard_of(scores)
    return (np.array(scores, np.float64) - median) / spread
