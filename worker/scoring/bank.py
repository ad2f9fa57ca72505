"""A bounded bank of normal vectors and the distance to the nearest of them."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.scoring.state import State, integers

CAPACITY = 512
LARGEST = 127  # of a code
FAINTEST = np.float32(1e-12)  # scale: that of zeros

Codes = NDArray[np.int8]
Scales = NDArray[np.float32]


class VectorBank:
    """A reservoir sample of what was learned. Deterministic: draws hash a count.

    Once it is full each further row is taken with the same chance as all before it, in the place of
    one of them. How many are passed over until the next one is drawn at once (Li, "Reservoir-
    sampling algorithms of time complexity O(n(1 + log(N/n)))", 1994, algorithm L).

    Vectors are kept, and compared, as whole numbers of 8 bits with one scale each (`quantised`):
    as columns (D, rows), for the product with a few others is fastest like this.
    """

    def __init__(self, dim: int, capacity: int = CAPACITY) -> None:
        self.seen = 0
        self._capacity = capacity
        self._columns: Codes = np.zeros((dim, 0), dtype=np.int8)
        self._scales: Scales = np.zeros(0, dtype=np.float32)
        self._squares = np.zeros(0, dtype=np.float32)  # of the lengths of the rows
        self._next = 0  # the count of the next row that is taken; 0 before the bank was full
        self._bound = 1.0  # algorithm L's W: the largest of the draws that the rows stand for

    def __len__(self) -> int:
        return len(self._scales)

    def squares(self, queries: NDArray[Any]) -> NDArray[np.float32]:
        """Return for each of `queries` (n, D) the squared distance to its nearest row.

        Euclidean; it may be below 0 by what rounding takes.
        """
        whole, scales = _quantised(queries)
        squares = whole.dot(self._columns.astype(np.float32))  # (n, rows), exact up to D = 1040
        squares *= self._scales
        squares *= (-2 * scales)[:, None]
        squares += self._squares
        least: NDArray[np.float32] = np.minimum.reduce(squares, axis=1)
        least += _squares(whole, scales)
        return least

    def forget(self, rows: NDArray[Any]) -> None:
        """Take one row out for each of `rows` (n, D) that it has."""
        for code, scale in zip(*quantised(rows), strict=True):
            is_same = (code == self._columns.T).all(axis=1) & (self._scales == scale)
            if is_same.any():
                place = np.flatnonzero(is_same)[-1]
                self._keep(np.delete(self._columns, place, axis=1), np.delete(self._scales, place))

    def state(self) -> State:
        """Return its rows, how many it has seen, and which it takes next."""
        return {
            "seen": integers(self.seen, self._next),
            "bound": np.array([self._bound]),
            "columns": self._columns,
            "scales": self._scales,
        }

    def restore(self, state: State) -> None:
        """Take up the rows of a bank of the same capacity."""
        self.seen, self._next = map(int, state["seen"])
        self._bound = float(state["bound"][0])
        self._keep(state["columns"].copy(), state["scales"].copy())

    def learn(self, rows: NDArray[Any]) -> None:
        """Offer `rows` (n, D): all are kept until the bank is full, then a fair sample of all."""
        room = self._capacity - len(self)
        if room > 0:
            self._append(rows[:room])
            rows = rows[room:]
        before = self.seen
        self.seen += len(rows)
        while self._next <= self.seen and len(self) == self._capacity:
            if self._next > before:
                self._replace(rows[self._next - before - 1])
            self._pass_over()

    def _append(self, rows: NDArray[Any]) -> None:
        codes, scales = quantised(rows)
        columns = np.concatenate([self._columns, codes.T], axis=1)
        self._keep(columns, np.concatenate([self._scales, scales]))
        self.seen += len(rows)

    def _replace(self, row: NDArray[Any]) -> None:
        """Take the row in the place of another one."""
        codes, scales = quantised(row[None])
        slot = int(_draw(self._next, "slot") * self._capacity)
        self._columns[:, slot], self._scales[slot] = codes[0], scales[0]
        self._squares[slot] = _squares(codes.astype(np.float32), scales)[0]

    def _pass_over(self) -> None:
        """Draw which row is taken next; the first time, once the bank is full."""
        last = self._next or self._capacity
        self._bound *= _draw(last, "bound") ** (1 / self._capacity)
        passed = math.log(_draw(last, "passed")) / math.log1p(-self._bound)
        self._next = last + 1 + int(passed)

    def _keep(self, columns: Codes, scales: Scales) -> None:
        self._columns, self._scales = columns, scales
        self._squares = _squares(np.ascontiguousarray(columns.T, np.float32), scales)


def quantised(vectors: NDArray[Any]) -> tuple[Codes, Scales]:
    """Return codes (n, D) in -LARGEST..LARGEST and scales (n,): a vector is scale times its code.

    Uniform scalar quantisation by the largest element of each vector, to the nearest code. Products
    of codes are whole numbers, so that equal vectors are at a distance of exactly 0.
    """
    whole, scales = _quantised(vectors)
    return whole.astype(np.int8), scales


def _quantised(vectors: NDArray[Any]) -> tuple[NDArray[np.float32], Scales]:
    """Return the codes in single precision, and the scales."""
    points = vectors.astype(np.float32, copy=False)
    scales: Scales = np.maximum.reduce(np.abs(points), axis=1)
    scales /= LARGEST
    np.maximum(scales, FAINTEST, out=scales)
    whole = points / scales[:, None]
    return np.rint(whole, whole), scales


def _squares(whole: NDArray[np.float32], scales: Scales) -> NDArray[np.float32]:
    """Return the squared lengths of vectors by codes (n, D) and scales; exact but for two steps."""
    squares: NDArray[np.float32] = np.vecdot(whole, whole) * scales * scales
    return squares


def _draw(count: int, what: str) -> float:
    """Return a number in (0, 1) that depends on `count` and on what it is for only."""
    digest = hashlib.blake2b(f"{count} {what}".encode(), digest_size=6).digest()
    return (int.from_bytes(digest, "big") + 0.5) / float(1 << 48)
