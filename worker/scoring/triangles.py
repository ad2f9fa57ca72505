"""Triangular matrices without their zeros: packed to be kept, in strips to be multiplied by."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

STRIP = 64  # rows that are kept as one array: the calls count as much as the numbers

Matrix = NDArray[Any]


def packed(matrix: Matrix) -> Matrix:
    """Return the lower triangle of a matrix (n, n), row by row: (n (n + 1) / 2,)."""
    return matrix.ravel().take(_places(len(matrix)))


def unpacked(values: Matrix) -> Matrix:
    """Return the lower triangular matrix of what `packed` gave; zeros above the diagonal."""
    side = int((np.sqrt(8 * len(values) + 1) - 1) / 2 + 0.5)
    matrix = np.zeros(side * side, dtype=values.dtype)
    matrix[_places(side)] = values
    return matrix.reshape(side, side)


@cache
def _places(side: int) -> NDArray[np.intp]:
    """Return the places of the lower triangle, all rows in one; kept, for they take long to find.

    There are no more sides than experts' dimensions, and 0.
    """
    rows, columns = np.tril_indices(side)
    return rows * side + columns


class Strips:
    """A lower triangular matrix (n, n) of single precision, as strips of STRIP rows.

    Each ends at the last column of its diagonal: two thirds of the memory at n = 192.
    """

    def __init__(self, lower: Matrix) -> None:
        self._dim = len(lower)
        self._strips: list[NDArray[np.float32]] = [
            lower[begin:end, :end].astype(np.float32, order="C") for begin, end in _spans(self._dim)
        ]

    def square(self, x: NDArray[np.float32]) -> float:
        """Return the squared length of the product with a vector (n,)."""
        square = 0.0
        for strip in self._strips:
            part = strip.dot(x[: strip.shape[1]])
            square += float(part.dot(part))
        return square

    def matrix(self) -> NDArray[np.float32]:
        """Return it with its zeros."""
        whole = np.zeros((self._dim, self._dim), np.float32)
        for (begin, end), strip in zip(_spans(self._dim), self._strips, strict=True):
            whole[begin:end, :end] = strip
        return whole

    def numbers(self) -> NDArray[np.float32]:
        """Return all strips in one, flat."""
        return np.concatenate([np.zeros(0, np.float32), *map(np.ravel, self._strips)])

    @classmethod
    def of_numbers(cls, numbers: NDArray[np.float32], dim: int) -> Strips:
        """Return the one (dim, dim) that gave the `numbers`; an empty one where there are none."""
        strips = cls(np.zeros((0, 0)))
        if len(numbers):
            strips._dim = dim
            for begin, end in _spans(dim):
                strip, numbers = np.split(numbers, [(end - begin) * end])
                strips._strips.append(strip.reshape(-1, end).copy())
        return strips


def _spans(dim: int) -> list[tuple[int, int]]:
    """Return where strips begin and end."""
    return [(begin, min(begin + STRIP, dim)) for begin in range(0, dim, STRIP)]
