"""The expert on a camera that looks elsewhere: its edges are not where they used to be."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.scoring.experts.base import MIN_LEARNED, Features
from worker.scoring.state import State, integers

MEMORY = 1000  # Moments after which the oldest ones fade


class MovedExpert:
    """How far the picture's edges are from being those of the mean picture so far."""

    def __init__(self) -> None:
        self._count = 0
        self._mean = np.zeros((0, 0), dtype=np.float32)

    def score(self, features: Features) -> float | None:
        """Return what `misplaced` says of the picture's edges and the usual ones."""
        thumbnail = features.get("luminance")
        if thumbnail is None or self._count < MIN_LEARNED:
            return None
        return misplaced(edges(thumbnail), edges(self._mean))

    def learn(self, features: Features) -> None:
        """Update the mean picture."""
        thumbnail = features.get("luminance")
        if thumbnail is None:
            return
        self._count += 1
        levels = thumbnail.astype(np.float32, copy=False)
        if self._count == 1:
            self._mean = levels.copy()
        self._mean += np.float32(max(1 / self._count, 1 / MEMORY)) * (levels - self._mean)

    def unlearn(self, features: Features) -> None:
        """A mean keeps what it was told."""

    def state(self) -> State:
        """Return the mean picture, and how many were learned."""
        return {"count": integers(self._count), "mean": self._mean}

    def restore(self, state: State) -> None:
        """Take up both."""
        self._count = int(state["count"][0])
        self._mean = state["mean"].copy()


def edges(picture: NDArray[Any]) -> NDArray[np.float32]:
    """Return horizontal and vertical differences of a picture, flat."""
    levels = picture.astype(np.float32, copy=False)
    across, down = levels[:, 1:] - levels[:, :-1], levels[1:] - levels[:-1]
    return np.concatenate([across.ravel(), down.ravel()])


def misplaced(now: NDArray[np.float32], usual: NDArray[np.float32]) -> float:
    """Return 1 - cosine, in [0, 2], times the share of the usual strength that is left, at most 1.

    Edges that are gone, as when the lens is covered, are not elsewhere.
    """
    strength, expected = float(np.linalg.norm(now)), float(np.linalg.norm(usual))
    if strength < 1e-6 or expected < 1e-6:
        return 0.0
    cosine = float(now @ usual) / (strength * expected)
    return (1 - cosine) * min(1.0, strength / expected)
