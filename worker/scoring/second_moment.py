"""Second moments of a stream of vectors, which are taken in a few at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.scoring.state import State
from worker.scoring.triangles import packed, unpacked

PENDING = 16  # vectors that one product of matrices takes in

Vector = NDArray[Any]


class SecondMoment:
    """S (D, D) after steps S <- keep S + weight x x^T, from zero. Its lower triangle is kept.

    The last steps, fewer than PENDING, wait as rows r_i = sqrt(weight_i) x_i. All at once they are
    S <- k_1 S + sum_i k_(i+1) r_i r_i^T, where k_i is the product of keep_i and all later ones.
    Until `matrix` is called for the first time all steps wait, and S is known by its `factor`.
    """

    def __init__(self) -> None:
        self._triangle = np.zeros(0, dtype=np.float32)
        self._rows: list[NDArray[np.float32]] = []
        self._keeps: list[float] = []

    def add(self, x: Vector, keep: float, weight: float) -> None:
        """Take a step with `x` (D,); keep and weight are not negative."""
        self._rows.append((x * math.sqrt(weight)).astype(np.float32))
        self._keeps.append(keep)
        if len(self._rows) >= PENDING and not self.is_waiting:
            self._absorb()

    @property
    def is_waiting(self) -> bool:
        """Whether all steps wait, from the first one on."""
        return not len(self._triangle)

    def factor(self, steps: int) -> NDArray[np.float64]:
        """Return F (steps, D): after so many steps, of those that wait, S was F^T F."""
        return _faded(np.array(self._rows[:steps], dtype=np.float64), self._keeps[:steps])

    def matrix(self) -> NDArray[np.float64]:
        """Return S, symmetric to the last bit, after at least one step."""
        self._absorb()
        lower = unpacked(self._triangle.astype(np.float64))
        whole: NDArray[np.float64] = lower + lower.T
        np.fill_diagonal(whole, lower.diagonal())
        return whole

    def state(self) -> State:
        """Return the triangle and the steps that wait."""
        return {
            "triangle": self._triangle,
            "rows": np.array(self._rows, dtype=np.float32),
            "keeps": np.array(self._keeps),
        }

    def restore(self, state: State) -> None:
        """Take up both."""
        self._triangle = state["triangle"].copy()
        self._rows = list(state["rows"].copy())
        self._keeps = state["keeps"].tolist()

    def _absorb(self) -> None:
        if not self._rows:
            return
        rows = _faded(np.stack(self._rows), self._keeps)
        added = packed(rows.T @ rows)
        if len(self._triangle):
            added += np.float32(math.prod(self._keeps)) * self._triangle
        self._triangle = added
        self._rows.clear()
        self._keeps.clear()


def _faded(rows: NDArray[Any], keeps: list[float]) -> NDArray[Any]:
    """Return each row (n, D) times the square root of what later steps keep; in place."""
    rows[:-1] *= np.sqrt(np.cumprod(keeps[:0:-1])[::-1, None])
    return rows
