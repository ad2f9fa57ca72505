"""The expert on a camera that looks elsewhere: its edges are not where they used to be."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from worker.scoring.experts.base import MIN_LEARNED, Features
from worker.scoring.state import State, integers

MEMORY = 1000  # Moments after which the oldest ones fade
STRIDE = 8  # Moments of which the last one is learned for all, once that is a small part of them:
STRIDE_SHARE = 32  # no more than one in so many
FAINT = 1e-6  # the strength of edges below which there are none

Picture = NDArray[np.float32]


class MovedExpert:
    """How far the picture's edges are from being those of the mean picture so far.

    1 - cosine, in [0, 2], times the share of the usual strength that is left, at most 1: edges that
    are gone, as when the lens is covered, are not elsewhere.
    With the differences D x of neighbours in a picture x, and the mean picture u, it is found by
    <D x, D u> = <x, D^T D u> and |D u|. The mean itself is not needed: with u + w (x - u) the first
    goes on as u does, and the square of the second by the products that it is compared by.
    """

    def __init__(self) -> None:
        self._count = 0
        self._last = 0  # the count at the last Moment that was learned
        self._curvature: Picture = np.zeros(0, np.float32)  # D^T D u, flat
        self._square = 0.0  # |D u|^2

    def score(self, features: Features) -> float | None:
        """Return how far it is."""
        thumbnail = features.get("luminance")
        if thumbnail is None or self._count < MIN_LEARNED:
            return None
        levels = thumbnail.astype(np.float32, copy=False)
        strength, usual = math.sqrt(edge_square(levels)), math.sqrt(self._square)
        if strength < FAINT or usual < FAINT:
            return 0.0
        cosine = self._product(levels) / (strength * usual)
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
            self._curvature, self._square = _curvature(levels), edge_square(levels)
            return
        new = since / min(self._count, MEMORY)
        old = 1 - new
        self._square *= old * old
        self._square += 2 * new * old * self._product(levels) + new * new * edge_square(levels)
        self._square = max(self._square, 0.0)
        self._curvature += np.float32(new) * (_curvature(levels) - self._curvature)

    def unlearn(self, features: Features) -> None:
        """A mean keeps what it was told."""

    def state(self) -> State:
        """Return what the mean picture is compared by, and how many were learned."""
        return {
            "counts": integers(self._count, self._last),
            "curvature": self._curvature,
            "square": np.array([self._square]),
        }

    def restore(self, state: State) -> None:
        """Take up all of it."""
        self._count, self._last = map(int, state["counts"])
        self._curvature, self._square = state["curvature"].copy(), float(state["square"][0])

    def _product(self, levels: Picture) -> float:
        """Return <D x, D u>."""
        return float(levels.ravel().dot(self._curvature))


def edge_square(picture: Picture) -> float:
    """Return |D x|^2: the sum of squared differences of neighbours."""
    across, down = _edges(picture)
    return float(across.dot(across)) + float(down.dot(down))


def _curvature(picture: Picture) -> Picture:
    """Return D^T D x, flat."""
    across, down = _edges(picture)
    width, curvature = picture.shape[1], np.zeros(picture.size, np.float32)
    for edges, step in ((across, 1), (down, width)):
        curvature[step:] += edges
        curvature[:-step] -= edges
    return curvature


def _edges(picture: Picture) -> tuple[Picture, Picture]:
    """Return the differences of pixels and their right and lower neighbours, flat.

    Between the end of a row and the beginning of the next one there is no edge.
    """
    width, levels = picture.shape[1], picture.ravel()
    across, down = levels[1:] - levels[:-1], levels[width:] - levels[:-width]
    across[width - 1 :: width] = 0
    return across, down
