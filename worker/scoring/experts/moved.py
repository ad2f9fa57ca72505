"""The expert on a camera that looks elsewhere: its edges are not where they used to be."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.scoring.experts.base import MIN_LEARNED, Features
from worker.scoring.state import State, integers

MEMORY = 1000  # Moments after which the oldest ones fade
STRIDE = 8  # Moments of which the last one is learned for all, once that is a small part of them:
STRIDE_SHARE = 32  # no more than one in so many
FAINT = 1e-6  # the strength of edges below which there are none

Picture = NDArray[np.float32]


class _Usual(NamedTuple):
    """What the edges of the mean picture are compared by: the product with those of another one.

    With differences D u of neighbours that is <D x, D u> = <x, curvature>, and strength = |D u|.
    """

    curvature: Picture  # D^T D u, flat
    strength: float


class MovedExpert:
    """How far the picture's edges are from being those of the mean picture so far.

    1 - cosine, in [0, 2], times the share of the usual strength that is left, at most 1: edges that
    are gone, as when the lens is covered, are not elsewhere.
    """

    def __init__(self) -> None:
        self._count = 0
        self._last = 0  # the count at the last Moment that was learned
        self._mean = np.zeros((0, 0), dtype=np.float32)
        self._usual: _Usual | None = None  # found when it is looked at

    def score(self, features: Features) -> float | None:
        """Return how far it is."""
        thumbnail = features.get("luminance")
        if thumbnail is None or self._count < MIN_LEARNED:
            return None
        if self._usual is None:
            self._usual = _usual_of(self._mean)
        levels = thumbnail.astype(np.float32, copy=False)
        strength, usual = edge_strength(levels), self._usual.strength
        if strength < FAINT or usual < FAINT:
            return 0.0
        product = float(levels.ravel().dot(self._usual.curvature))
        cosine = product / (strength * usual)
        return (1 - cosine) * min(1.0, strength / usual)

    def learn(self, features: Features) -> None:
        """Update the mean picture, where the turn of this one has come."""
        thumbnail = features.get("luminance")
        if thumbnail is None:
            return
        self._count += 1
        since = self._count - self._last
        if since < min(STRIDE, self._count // STRIDE_SHARE):
            return
        self._last = self._count
        levels = thumbnail.astype(np.float32, copy=False)
        if self._count == 1:
            self._mean = levels.copy()
        self._mean += np.float32(since / min(self._count, MEMORY)) * (levels - self._mean)
        self._usual = None

    def unlearn(self, features: Features) -> None:
        """A mean keeps what it was told."""

    def state(self) -> State:
        """Return the mean picture, and how many were learned."""
        return {"counts": integers(self._count, self._last), "mean": self._mean}

    def restore(self, state: State) -> None:
        """Take up both."""
        self._count, self._last = map(int, state["counts"])
        self._mean, self._usual = state["mean"].copy(), None


def edge_strength(picture: Picture) -> float:
    """Return |D u|: the root of the sum of squared differences of neighbours."""
    across, down = _edges(picture)
    return math.sqrt(float(across.dot(across)) + float(down.dot(down)))


def _usual_of(picture: Picture) -> _Usual:
    across, down = _edges(picture)
    width, curvature = picture.shape[1], np.zeros(picture.size, np.float32)
    for edges, step in ((across, 1), (down, width)):
        curvature[step:] += edges
        curvature[:-step] -= edges
    return _Usual(curvature, edge_strength(picture))


def _edges(picture: Picture) -> tuple[Picture, Picture]:
    """Return the differences of pixels and their right and lower neighbours, flat.

    Between the end of a row and the beginning of the next one there is no edge.
    """
    width, levels = picture.shape[1], picture.ravel()
    across, down = levels[1:] - levels[:-1], levels[width:] - levels[:-width]
    across[width - 1 :: width] = 0
    return across, down
