"""Numbers of scorers as named arrays, so that they can be stored and taken up again bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

State = Mapping[str, NDArray[Any]]


def nested(parts: Mapping[str, State]) -> dict[str, NDArray[Any]]:
    """Join the states of several parts; their names stand before the dot.

    >>> sorted(nested({"bank": {"rows": np.zeros(3)}, "": {}}))
    ['bank.rows']
    """
    return {
        f"{part}.{name}": array for part, state in parts.items() for name, array in state.items()
    }


def part(state: State, name: str) -> dict[str, NDArray[Any]]:
    """Return the state of one part, as it was given to `nested`."""
    start = len(name) + 1
    return {key[start:]: array for key, array in state.items() if key.startswith(f"{name}.")}


def integers(*values: int) -> NDArray[np.int64]:
    """Return whole numbers as an array (n,)."""
    return np.array(values, dtype=np.int64)


def triangle(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the lower triangle of a matrix (n, n), row by row: (n (n + 1) / 2,)."""
    return matrix[_places(len(matrix))]


def from_triangle(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the lower triangular matrix of what `triangle` gave; zeros above the diagonal."""
    side = int((np.sqrt(8 * len(values) + 1) - 1) / 2 + 0.5)
    matrix = np.zeros((side, side), dtype=np.float32)
    matrix[_places(side)] = values
    return matrix


@cache
def _places(side: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places of the lower triangle; kept, for to find them takes longer than to copy.

    There are no more sides than experts' dimensions, and 0.
    """
    return np.tril_indices(side)
