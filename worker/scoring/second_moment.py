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
    """S (D, D) after steps S <- keep S + R^T R by rows R (n, D), from zero; its lower triangle.

    The last steps, of fewer than PENDING rows, wait. All at once they are S <- k_1 S + sum_i
    k_(i+1) r_i r_i^T, where k_i is the product of the keep of row i and all later ones: that of its
    step for the first row of a step, 1 for the others.
    Until `matrix` is called for the first time all steps wait, and S is known by its `factor`.
    """

    def __init__(self) -> None:
        self._triangle: NDArray[Any] = np.zeros(0, dtype=np.float32)
        self._rows: list[NDArray[np.float32]] = []  # of one or more steps each
        self._keeps: list[float] = []

    def add(self, rows: Vector, keep: float) -> None:
        """Take a step with rows (n, D), n >= 1; `keep` is not negative."""
        self._rows.append(rows.astype(np.float32))
        self._keeps += [keep] + [1.0] * (len(rows) - 1)
        if len(self._keeps) >= PENDING and not self.is_waiting:
            self._absorb()

    @property
    def is_waiting(self) -> bool:
        """Whether all steps wait, from the first one on."""
        return not len(self._triangle)

    def factor(self, rows: int) -> NDArray[np.float64]:
        """Return F (rows, D): after so many rows, of those that wait, S was F^T F."""
        waiting = np.concatenate(self._rows, dtype=np.float64)[:rows]
        return _faded(waiting, self._keeps[:rows])

    def settle(self, ridge: float) -> None:
        """Take no more steps, and keep S + `ridge` I, in half of the memory.

        As its Cholesky factor in half precision: its square has no direction without variance.
        """
        matrix = self.matrix()
        matrix.flat[:: len(matrix) + 1] += ridge
        self._triangle = packed(np.linalg.cholesky(matrix)).astype(np.float16)

    @property
    def is_settled(self) -> bool:
        """Whether it takes no more steps."""
        return self._triangle.dtype == np.float16

    def matrix(self) -> NDArray[np.float64]:
        """Return S, symmetric to the last bit, after at least one step."""
        if self.is_settled:
            factor = unpacked(self._triangle.astype(np.float32))
            return (factor @ factor.T).astype(np.float64)
        self._absorb()
        lower = unpacked(self._triangle.astype(np.float64))
        whole: NDArray[np.float64] = lower + lower.T
        np.fill_diagonal(whole, lower.diagonal())
        return whole

    def state(self) -> State:
        """Return the triangle, of S or of its factor, and the rows that wait."""
        return {
            "triangle": self._triangle,
            "rows": np.concatenate(self._rows) if self._rows else _NONE,
            "keeps": np.array(self._keeps),
        }

    def restore(self, state: State) -> None:
        """Take up both."""
        self._triangle = state["triangle"].copy()
        self._rows = [state["rows"].copy()] if len(state["rows"]) else []
        self._keeps = state["keeps"].tolist()

    def _absorb(self) -> None:
        if not self._rows:
            return
        rows = _faded(np.concatenate(self._rows), self._keeps)
        added = packed(rows.T @ rows)
        if len(self._triangle):
            self._triangle *= np.float32(math.prod(self._keeps))
            self._triangle += added
        else:
            self._triangle = added
        self._rows.clear()
        self._keeps.clear()


def _faded(rows: NDArray[Any], keeps: list[float]) -> NDArray[Any]:
    """Return each row (n, D) times the square root of what later steps keep; in place."""
    if len(keeps) > 1 and min(keeps[1:]) < 1:
        rows[:-1] *= np.sqrt(np.cumprod(keeps[:0:-1])[::-1, None])
    return rows


_NONE: NDArray[np.float32] = np.zeros((0, 0), np.float32)
