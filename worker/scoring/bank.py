"""A bounded bank of normal vectors and the distance to the nearest of them."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.scoring.state import State, integers

CAPACITY = 512


class VectorBank:
    """A reservoir sample of what was learned, as float16. Deterministic: draws hash the count."""

    def __init__(self, dim: int, capacity: int = CAPACITY) -> None:
        self.seen = 0
        self._capacity = capacity
        self._rows = np.zeros((0, dim), dtype=np.float16)
        self._squares = np.zeros(0)  # of the lengths of the rows

    def __len__(self) -> int:
        return len(self._rows)

    def distances(self, queries: NDArray[Any]) -> NDArray[np.float64]:
        """Return for each of `queries` (n, D) the Euclidean distance to its nearest row, >= 0."""
        rows, points = self._rows.astype(np.float64), queries.astype(np.float64)
        squares = (points**2).sum(1)[:, None] + self._squares - 2 * points @ rows.T
        nearest: NDArray[np.float64] = np.sqrt(np.maximum(squares.min(axis=1), 0))
        return nearest

    def forget(self, rows: NDArray[Any]) -> None:
        """Take one row out for each of `rows` (n, D) that it has."""
        for row in rows.astype(np.float16):
            places = np.flatnonzero((self._rows == row).all(axis=1))
            if len(places):
                self._rows = np.delete(self._rows, places[-1], axis=0)
                self._squares = np.delete(self._squares, places[-1])

    def state(self) -> State:
        """Return its rows, and how many it has seen."""
        return {"seen": integers(self.seen), "rows": self._rows}

    def restore(self, state: State) -> None:
        """Take up the rows of a bank of the same capacity."""
        self.seen = int(state["seen"][0])
        self._rows = state["rows"].copy()
        self._squares = _squares(self._rows)

    def learn(self, rows: NDArray[Any]) -> None:
        """Offer `rows` (n, D): all are kept until the bank is full, then a fair sample of all."""
        for row in rows.astype(np.float16):
            self.seen += 1
            if len(self._rows) < self._capacity:
                self._rows = np.concatenate([self._rows, row[None]])
                self._squares = np.concatenate([self._squares, _squares(row[None])])
            elif (slot := _draw(self.seen)) < self._capacity:
                self._rows[slot] = row
                self._squares[slot] = _squares(row[None])[0]


def _squares(rows: NDArray[np.float16]) -> NDArray[np.float64]:
    squares: NDArray[np.float64] = (rows.astype(np.float64) ** 2).sum(1)
    return squares


def _draw(count: int) -> int:
    """Return a number in [0, count) that depends on `count` only (Vitter's algorithm R)."""
    digest = hashlib.blake2b(count.to_bytes(8, "big"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % count
