"""A bounded bank of normal vectors and the distance to the nearest of them."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.scoring.state import State, integers

CAPACITY = 512
LARGEST = 127  # of a code

Codes = NDArray[np.int8]
Scales = NDArray[np.float32]


class VectorBank:
    """A reservoir sample of what was learned. Deterministic: draws hash the count.

    Vectors are kept, and compared, as whole numbers of 8 bits with one scale each (`quantised`).
    """

    def __init__(self, dim: int, capacity: int = CAPACITY) -> None:
        self.seen = 0
        self._capacity = capacity
        self._codes: Codes = np.zeros((0, dim), dtype=np.int8)
        self._scales: Scales = np.zeros(0, dtype=np.float32)
        self._squares = np.zeros(0, dtype=np.float32)  # of the lengths of the rows

    def __len__(self) -> int:
        return len(self._codes)

    def distances(self, queries: NDArray[Any]) -> NDArray[np.float32]:
        """Return for each of `queries` (n, D) the Euclidean distance to its nearest row, >= 0."""
        codes, scales = quantised(queries)
        few = np.ascontiguousarray(codes.T, dtype=np.float32)  # the product is fastest like this,
        products = self._codes.astype(np.float32) @ few  # and of whole numbers up to D = 1040
        squares = np.ascontiguousarray(products.T)
        squares *= self._scales * scales[:, None]
        squares *= -2
        squares += self._squares
        least = squares.min(axis=1) + _squares(codes, scales)
        nearest: NDArray[np.float32] = np.sqrt(np.maximum(least, 0))
        return nearest

    def forget(self, rows: NDArray[Any]) -> None:
        """Take one row out for each of `rows` (n, D) that it has."""
        for code, scale in zip(*quantised(rows), strict=True):
            is_same = (self._codes == code).all(axis=1) & (self._scales == scale)
            if is_same.any():
                place = np.flatnonzero(is_same)[-1]
                self._keep(np.delete(self._codes, place, axis=0), np.delete(self._scales, place))

    def state(self) -> State:
        """Return its rows, and how many it has seen."""
        return {"seen": integers(self.seen), "codes": self._codes, "scales": self._scales}

    def restore(self, state: State) -> None:
        """Take up the rows of a bank of the same capacity."""
        self.seen = int(state["seen"][0])
        self._keep(state["codes"].copy(), state["scales"].copy())

    def learn(self, rows: NDArray[Any]) -> None:
        """Offer `rows` (n, D): all are kept until the bank is full, then a fair sample of all."""
        codes, scales = quantised(rows)
        room = self._capacity - len(self)
        if room > 0:
            self._keep(
                np.concatenate([self._codes, codes[:room]]),
                np.concatenate([self._scales, scales[:room]]),
            )
            self.seen += len(codes[:room])
        for code, scale in zip(codes[room:], scales[room:], strict=True):
            self.seen += 1
            if (slot := _draw(self.seen)) < self._capacity:
                self._codes[slot], self._scales[slot] = code, scale
                self._squares[slot] = _squares(code[None], scale[None])[0]

    def _keep(self, codes: Codes, scales: Scales) -> None:
        self._codes, self._scales = codes, scales
        self._squares = _squares(codes, scales)


def quantised(vectors: NDArray[Any]) -> tuple[Codes, Scales]:
    """Return codes (n, D) in -LARGEST..LARGEST and scales (n,): a vector is scale times its code.

    Uniform scalar quantisation by the largest element of each vector, to the nearest code. Products
    of codes are whole numbers, so that equal vectors are at a distance of exactly 0.
    """
    points = vectors.astype(np.float32)
    scales: Scales = np.abs(points).max(axis=1) / np.float32(LARGEST)
    scales[scales == 0] = 1
    return np.rint(points / scales[:, None]).astype(np.int8), scales


def _squares(codes: Codes, scales: Scales) -> NDArray[np.float32]:
    points = codes.astype(np.float32)
    squares: NDArray[np.float32] = scales * scales * np.einsum("ij,ij->i", points, points)
    return squares


def _draw(count: int) -> int:
    """Return a number in [0, count) that depends on `count` only (Vitter's algorithm R)."""
    digest = hashlib.blake2b(count.to_bytes(8, "big"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % count
