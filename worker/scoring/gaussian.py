"""Online Gaussian with shrinkage: how far a vector is from what a source usually shows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.scoring.second_moment import SecondMoment
from worker.scoring.state import State, integers, nested, part
from worker.scoring.triangles import Strips

MEMORY = 20_000  # updates after which the oldest ones fade
REFRESH_LIMIT = 256  # the factor is renewed after at most so many updates
REFRESH_SHARE = 8  # while young, after an eighth of the updates so far
WIDENING = 0.3  # of the second moment of harmless changes
RIDGE = 1e-3  # of their mean variance, in all directions
SMALL = 24  # rows below which halving costs more than it saves

Vector = NDArray[Any]


class OnlineGaussian:
    """Mean and covariance of a stream of vectors.

    With eta = max(1/t, 1/MEMORY) and d = x - mu: mu += eta d; S = (1 - eta)(S + eta d d^T).
    The score is log(d^T C^-1 d / D), in (-inf, inf), higher is farther; C is S shrunk towards its
    mean variance by the oracle-approximating coefficient (Chen, Wiesel, Eldar and Hero, 2010),
    and widened by WIDENING times the mean e e^T of what `widen` was told.
    """

    def __init__(self, dim: int) -> None:
        self.count = 0
        self._mean = np.zeros(dim)
        self._covariance = SecondMoment()
        self._whitener = Strips(np.zeros((0, 0)))
        self._since_refresh = 0
        self.widened = 0
        self._nuisance = SecondMoment()

    def score(self, x: Vector) -> float:
        """Return the log of the mean squared whitened deviation of `x` (D,). Needs two updates."""
        if self.count < 2:
            raise ValueError("an online Gaussian scores after two updates")
        deviation = (x - self._mean).astype(np.float32)
        whitened = self._whitener @ deviation
        return math.log(float(whitened @ whitened) / len(whitened) + 1e-12)

    def parts(self, x: Vector) -> Vector:
        """Return the part of each element of `x` (D,) in its distance: d * (C^-1 d).

        They sum to the squared Mahalanobis distance; one may be below zero, where it makes up for
        what correlates with it.
        """
        deviation = x - self._mean
        whitener = self._whitener.matrix().astype(np.float64)
        parts: Vector = deviation * (whitener.T @ (whitener @ deviation))
        return parts

    def learn(self, x: Vector) -> None:
        """Update mean and covariance by `x` (D,)."""
        self.count += 1
        eta = max(1 / self.count, 1 / MEMORY)
        deviation = x - self._mean
        self._mean += eta * deviation
        self._covariance.add(deviation, 1 - eta, eta * (1 - eta))
        self._since_refresh += 1
        due = min(REFRESH_LIMIT, self.count // REFRESH_SHARE)
        if self.count >= 2 and self._since_refresh >= due:
            self._refresh()

    def widen(self, e: Vector) -> None:
        """Learn that a harmless change moved a vector by `e` (D,); it counts from the next look."""
        self.widened += 1
        self._nuisance.add(e, 1 - 1 / self.widened, 1 / self.widened)

    def state(self) -> State:
        """Return its numbers."""
        return {
            "counts": integers(self.count, self._since_refresh, self.widened),
            "mean": self._mean,
            "whitener": self._whitener.numbers(),
            **nested({"covariance": self._covariance.state(), "nuisance": self._nuisance.state()}),
        }

    def restore(self, state: State) -> None:
        """Take up the numbers of one of the same dimension."""
        self.count, self._since_refresh, self.widened = map(int, state["counts"])
        self._mean = state["mean"].copy()
        self._whitener = Strips.of_numbers(state["whitener"], len(self._mean))
        self._covariance.restore(part(state, "covariance"))
        self._nuisance.restore(part(state, "nuisance"))

    def _refresh(self) -> None:
        self._since_refresh = 0
        shrunk = oas_covariance(self._covariance.matrix(), min(self.count, MEMORY))
        if self.widened:
            shrunk = shrunk + WIDENING * self._ridged_nuisance()
        self._whitener = Strips(np.tril(inverse_lower(np.linalg.cholesky(shrunk))))

    def _ridged_nuisance(self) -> Vector:
        """Return the second moment of harmless changes; alone its rank is that of their number."""
        nuisance = self._nuisance.matrix()
        mean_variance = float(np.trace(nuisance)) / len(nuisance)
        ridged: Vector = nuisance + RIDGE * mean_variance * np.eye(len(nuisance))
        return ridged


def inverse_lower(factor: Vector) -> Vector:
    """Return the inverse of a lower triangular (D, D), by halves; numpy knows no triangles.

    [[A, 0], [B, C]]^-1 = [[A^-1, 0], [-C^-1 B A^-1, C^-1]].
    """
    half = len(factor) // 2
    if half < SMALL:
        inverse: Vector = np.linalg.inv(factor)
        return inverse
    first, last = inverse_lower(factor[:half, :half]), inverse_lower(factor[half:, half:])
    result = np.zeros_like(factor)
    result[:half, :half], result[half:, half:] = first, last
    result[half:, :half] = -last @ factor[half:, :half] @ first
    return result


def oas_covariance(covariance: Vector, samples: int) -> Vector:
    """Shrink a sample covariance (D, D) of `samples` vectors towards a multiple of the identity."""
    dim = covariance.shape[0]
    mean_variance = float(np.trace(covariance)) / dim
    square = float(np.mean(covariance**2))
    numerator = square + mean_variance**2
    denominator = (samples + 1) * (square - mean_variance**2 / dim)
    shrinkage = 1.0 if denominator <= 0 else min(1.0, numerator / denominator)
    floor = max(mean_variance, 1e-6) * max(shrinkage, 1e-6)
    shrunk: Vector = (1 - shrinkage) * covariance + floor * np.eye(dim)
    return shrunk
