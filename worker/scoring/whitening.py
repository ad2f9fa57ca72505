"""Inverse covariances, in the form in which a vector's distance is soonest found."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from worker.scoring.triangles import Strips

SMALL = 24  # rows below which halving costs more than it saves

Array = NDArray[Any]


class Whitening(Protocol):
    """The inverse of a covariance C (D, D)."""

    def distance(self, x: Array) -> float:
        """Return x^T C^-1 x of `x` (D,), >= 0."""

    def solve(self, x: Array) -> Array:
        """Return C^-1 x, (D,)."""


class Dense:
    """C^-1 = W^T W with a lower triangular W, in single precision."""

    def __init__(self, whitener: Strips) -> None:
        self.whitener = whitener

    @classmethod
    def of_covariance(cls, covariance: Array) -> Dense:
        """Return the inverse of a positive definite (D, D)."""
        return cls(Strips(np.tril(inverse_lower(np.linalg.cholesky(covariance)))))

    def distance(self, x: Array) -> float:
        """Return the squared length of W x."""
        return self.whitener.square(x)

    def solve(self, x: Array) -> Array:
        """Return W^T (W x)."""
        whitener = self.whitener.matrix().astype(np.float64)
        solved: Array = whitener.T @ (whitener @ x)
        return solved


class LowRank:
    """C = floor I + F^T F with F (r, D), r < D, by Woodbury's identity: C^-1 = (I - W^T W) / floor.

    W = L^-1 F with L L^T = floor I + F F^T. It takes some r^2 D steps to find, in place of D^3.
    In double precision: |x|^2 and |W x|^2 are nearly equal where `x` varies most.
    """

    def __init__(self, floor: float, factors: Array) -> None:
        self._floor = floor
        inner = factors @ factors.T
        inner.flat[:: len(inner) + 1] += floor
        self._rows = inverse_lower(np.linalg.cholesky(inner)) @ factors

    def distance(self, x: Array) -> float:
        """Return (|x|^2 - |W x|^2) / floor."""
        x = x.astype(np.float64, copy=False)
        projected = self._rows @ x
        return max(0.0, float(x @ x - projected @ projected)) / self._floor

    def solve(self, x: Array) -> Array:
        """Return (x - W^T W x) / floor."""
        solved: Array = (x - self._rows.T @ (self._rows @ x)) / self._floor
        return solved


def inverse_lower(factor: Array) -> Array:
    """Return the inverse of a lower triangular (D, D), by halves; numpy knows no triangles.

    [[A, 0], [B, C]]^-1 = [[A^-1, 0], [-C^-1 B A^-1, C^-1]].
    """
    half = len(factor) // 2
    if half < SMALL:
        inverse: Array = np.linalg.inv(factor)
        return inverse
    first, last = inverse_lower(factor[:half, :half]), inverse_lower(factor[half:, half:])
    result = np.zeros_like(factor)
    result[:half, :half], result[half:, half:] = first, last
    result[half:, :half] = -last @ factor[half:, :half] @ first
    return result
