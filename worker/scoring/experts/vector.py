"""An expert on a feature vector that is more or less normally distributed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.scoring.experts.base import MIN_LEARNED, Features, seen
from worker.scoring.gaussian import OnlineGaussian
from worker.scoring.state import State


def spectrum(windows: NDArray[Any]) -> NDArray[np.float32]:
    """Return mean and deviation of each band over the whole Moment."""
    rows = windows.reshape(-1, windows.shape[-1])
    mean: NDArray[np.float32] = np.add.reduce(rows, axis=0, dtype=np.float32)
    mean /= len(rows)
    return mean


class GaussianExpert:
    """Distance of a feature, or of the vector that `see` finds in it, from its online Gaussian."""

    def __init__(
        self,
        feature: str,
        dim: int,
        see: Callable[[NDArray[Any]], NDArray[Any]] | None = None,
    ) -> None:
        self._feature = feature
        self._see = see
        self._gaussian = OnlineGaussian(dim)

    def score(self, features: Features) -> float | None:
        """Return the log Mahalanobis distance per dimension."""
        value = self._vector(features)
        if value is None or self._gaussian.count < MIN_LEARNED:
            return None
        return self._gaussian.score(value)

    def learn(self, features: Features) -> None:
        """Update the Gaussian."""
        if (value := self._vector(features)) is not None:
            self._gaussian.learn(value)

    def _vector(self, features: Features) -> NDArray[Any] | None:
        if self._see is None:
            return features.get(self._feature)
        return seen(features, self._feature, self._see)

    def unlearn(self, features: Features) -> None:
        """A mean keeps what it was told."""

    def state(self) -> State:
        """Return the Gaussian's numbers."""
        return self._gaussian.state()

    def restore(self, state: State) -> None:
        """Take up the Gaussian's numbers."""
        self._gaussian.restore(state)
