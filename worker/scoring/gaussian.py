"""Online Gaussian with shrinkage: how far a vector is from what a source usually shows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.scoring.second_moment import SecondMoment
from worker.scoring.state import State, integers, nested, part
from worker.scoring.triangles import Strips
from worker.scoring.whitening import Dense, LowRank, Whitening

MEMORY = 20_000  # updates after which the oldest ones fade
REFRESH_LIMIT = 256  # the factor is renewed after at most so many updates
REFRESH_SHARE = 8  # while young, after an eighth of the updates so far
WIDENING = 0.3  # of the second moment of harmless changes
RIDGE = 1e-3  # of their mean variance, in all directions,
FAINTEST = 1e-6  # or so much variance where they change nothing
LOW_RANK = 2  # while so many times as many vectors as were learned are no more than dimensions
BLOCK = 16  # vectors that are taken in together, once they are a small part of what was learned:
BLOCK_SHARE = 128  # no more than one in so many

Vector = NDArray[Any]

_NONE = np.zeros(0, np.float32)


class OnlineGaussian:
    """Mean and covariance of a stream of vectors.

    They are taken in by blocks of n: of one while young, of BLOCK when old. With eta = n / min(t,
    MEMORY) after t vectors, the block's deviations d from mu and the mean m of these, mu += eta m;
    S = (1 - eta) S + eta/n sum (d - m)(d - m)^T + eta (1 - eta) m m^T (Chan, Golub and LeVeque,
    "Updating formulae and a pairwise algorithm for computing sample variances", 1979).
    The score is log(d^T C^-1 d / D), in (-inf, inf), higher is farther; C is S shrunk towards its
    mean variance by the oracle-approximating coefficient (Chen, Wiesel, Eldar and Hero, 2010),
    and widened by WIDENING times the mean e e^T of what `widen` was told.
    """

    def __init__(self, dim: int) -> None:
        self.count = 0  # vectors that were learned
        self._taken = 0  # of these: mean and covariance are of them
        self._block = np.zeros((1, dim), np.float32)  # its first rows wait: the others of `count`
        self._mean = np.zeros(dim, np.float32)
        self._covariance = SecondMoment()
        self.widened = 0
        self._nuisance = SecondMoment()
        self._refreshed, self._refreshed_widened = 0, 0  # `_taken` and `widened` as they were then
        self._whitening: Whitening | None = None  # of low rank: found when it is looked at

    def score(self, x: Vector) -> float:
        """Return the log of the mean squared whitened deviation of `x` (D,). Needs two updates."""
        inverse = self._whitening or self._inverse()
        return math.log(inverse.distance(x - self._mean) / len(self._mean) + 1e-12)

    def parts(self, x: Vector) -> Vector:
        """Return the part of each element of `x` (D,) in its distance: d * (C^-1 d).

        They sum to the squared Mahalanobis distance; one may be below zero, where it makes up for
        what correlates with it.
        """
        deviation = (x - self._mean).astype(np.float64)
        parts: Vector = deviation * self._inverse().solve(deviation)
        return parts

    def learn(self, x: Vector) -> None:
        """Update mean and covariance by `x` (D,), at once or with the next block."""
        waiting = self.count - self._taken
        if waiting == len(self._block):
            self._block = np.resize(self._block, (BLOCK, len(x)))
        self._block[waiting] = x
        self.count += 1
        if waiting + 1 >= min(BLOCK, self._taken // BLOCK_SHARE):
            self._take_in(self._block[: waiting + 1])

    def widen(self, e: Vector) -> None:
        """Learn that a harmless change moved a vector by `e` (D,); it counts from the next look."""
        self.widened += 1
        self._nuisance.add(e[None] / math.sqrt(self.widened), 1 - 1 / self.widened)

    def end_widening(self) -> None:
        """Take less memory for what `widen` was told: nothing follows."""
        nuisance = self._nuisance.matrix()
        self._nuisance.settle(max(RIDGE * float(np.trace(nuisance)) / len(nuisance), FAINTEST))

    def state(self) -> State:
        """Return its numbers."""
        dense = self._whitening
        whitener = dense.whitener.numbers() if isinstance(dense, Dense) else _NONE
        return {
            "counts": integers(self._taken, self._refreshed, self.widened, self._refreshed_widened),
            "waiting": self._block[: self.count - self._taken],
            "mean": self._mean,
            "whitener": whitener,
            **nested({"covariance": self._covariance.state(), "nuisance": self._nuisance.state()}),
        }

    def restore(self, state: State) -> None:
        """Take up the numbers of one of the same dimension."""
        counts = map(int, state["counts"])
        self._taken, self._refreshed, self.widened, self._refreshed_widened = counts
        self._mean, waiting = state["mean"].copy(), state["waiting"]
        self.count = self._taken + len(waiting)
        self._block = np.zeros((BLOCK if len(waiting) else 1, len(self._mean)), np.float32)
        self._block[: len(waiting)] = waiting
        whitener = state["whitener"]
        dense = Dense(Strips.of_numbers(whitener, len(self._mean))) if len(whitener) else None
        self._whitening = dense
        self._covariance.restore(part(state, "covariance"))
        self._nuisance.restore(part(state, "nuisance"))

    def _take_in(self, block: NDArray[np.float32]) -> None:
        """Update mean and covariance by vectors (n, D)."""
        self._taken += len(block)
        eta = len(block) / min(self._taken, MEMORY)
        deviations = block - self._mean
        mean = np.add.reduce(deviations, axis=0) / np.float32(len(block))
        self._mean += np.float32(eta) * mean
        between = math.sqrt(eta * (1 - eta)) * mean[None]
        within = math.sqrt(eta / len(block)) * (deviations - mean)
        rows = between if len(block) == 1 else np.concatenate([within, between])
        self._covariance.add(rows, 1 - eta)
        due = min(REFRESH_LIMIT, self._taken // REFRESH_SHARE)
        if self._taken >= 2 and self._taken - self._refreshed >= due:
            self._refresh()

    def _refresh(self) -> None:
        self._refreshed, self._refreshed_widened = self._taken, self.widened
        are_waiting = self._covariance.is_waiting and self._nuisance.is_waiting
        is_low = LOW_RANK * (self._taken + self.widened) <= len(self._mean)
        self._whitening = None if are_waiting and is_low else self._dense()

    def _inverse(self) -> Whitening:
        """Return the inverse of C as of the last refresh. Raises ValueError before two updates."""
        if self._taken < 2:
            raise ValueError("an online Gaussian scores after two updates")
        if self._whitening is None:
            self._whitening = self._low_rank()
        return self._whitening

    def _dense(self) -> Dense:
        covariance = oas_covariance(self._covariance.matrix(), min(self._taken, MEMORY))
        if self.widened:
            nuisance = self._nuisance.matrix()
            covariance += WIDENING * nuisance
            if not self._nuisance.is_settled:
                _add_to_diagonal(covariance, _ridge(float(np.trace(nuisance)), len(nuisance)))
        return Dense.of_covariance(covariance)

    def _low_rank(self) -> LowRank:
        """Return what `_dense` stands for, by the vectors that both second moments are of."""
        factor, dim = self._covariance.factor(self._refreshed), len(self._mean)
        inner = factor @ factor.T
        trace, square = float(np.trace(inner)), float(np.vdot(inner, inner))
        shrinkage, floor = oas_shrinkage(trace, square, dim, min(self._refreshed, MEMORY))
        factor *= math.sqrt(1 - shrinkage)
        if self._refreshed_widened:
            nuisance = self._nuisance.factor(self._refreshed_widened)
            floor += _ridge(float(np.vdot(nuisance, nuisance)), dim)
            factor = np.concatenate([factor, math.sqrt(WIDENING) * nuisance])
        return LowRank(floor, factor)


def _ridge(trace: float, dim: int) -> float:
    """Return what harmless changes add in all directions; alone their rank is their number."""
    return WIDENING * RIDGE * trace / dim


def _add_to_diagonal(matrix: Vector, value: float) -> None:
    matrix.flat[:: len(matrix) + 1] += value


def oas_covariance(covariance: Vector, samples: int) -> Vector:
    """Shrink a sample covariance (D, D) of `samples` vectors towards a multiple of the identity."""
    trace, square = float(np.trace(covariance)), float(np.vdot(covariance, covariance))
    shrinkage, floor = oas_shrinkage(trace, square, len(covariance), samples)
    shrunk: Vector = (1 - shrinkage) * covariance
    _add_to_diagonal(shrunk, floor)
    return shrunk


def oas_shrinkage(trace: float, square: float, dim: int, samples: int) -> tuple[float, float]:
    """Return the share of a sample covariance that is given up, and what the diagonal gains.

    Of the covariance (dim, dim) the trace and the sum of squares are needed.
    """
    mean_variance, square = trace / dim, square / dim**2
    numerator = square + mean_variance**2
    denominator = (samples + 1) * (square - mean_variance**2 / dim)
    shrinkage = 1.0 if denominator <= 0 else min(1.0, numerator / denominator)
    return shrinkage, max(mean_variance, 1e-6) * max(shrinkage, 1e-6)
