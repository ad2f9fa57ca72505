"""What sources know together: standardised scores that lend a young source their tail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.scoring.conformal import CalibrationRing

MAX_SOURCES = 32  # the first ones of a partition index; more would add little
MAX_EACH = 200  # scores of each source, its newest
MAX_STALE = 16  # Moments between two looks at the rings

_NONE: NDArray[np.float64] = np.zeros(0)


class Pool:
    """The scores of several sources, each less its median, in units of its spread.

    They are standardised anew at each look, by what is known of their source by then: the first
    medians of a young source are poor.
    """

    def __init__(self) -> None:
        self._members: list[Mapping[str, CalibrationRing]] = []
        self._scores: dict[str, NDArray[np.float64]] = {}
        self._stale = 0

    def join(self, rings: Mapping[str, CalibrationRing]) -> None:
        """Let a source take part with its rings by expert, while there is room."""
        if len(self._members) < MAX_SOURCES:
            self._members.append(rings)

    def refresh(self) -> None:
        """Look at the rings again where enough has happened; to be called once per Moment."""
        self._stale += 1
        if self._stale < min(len(self._members), MAX_STALE):
            return
        self._stale = 0
        names = {name for rings in self._members for name in rings}
        self._scores = {name: self._gathered(name) for name in names}

    def scores(self, expert: str) -> NDArray[np.float64]:
        """Return the standardised scores (n,) of an expert, n >= 0."""
        return self._scores.get(expert, _NONE)

    @property
    def size(self) -> int:
        """The scores of the expert that has most."""
        return max(map(len, self._scores.values()), default=0)

    def _gathered(self, name: str) -> NDArray[np.float64]:
        parts: list[NDArray[Any]] = []
        for rings in self._members:
            if (standard := rings[name].standard()) is not None:
                median, spread = standard
                parts.append((rings[name].scores[-MAX_EACH:] - median) / spread)
        return np.concatenate(parts) if parts else _NONE
