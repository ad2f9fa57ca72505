"""An expert on a feature vector that is more or less normally distributed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.scoring.experts.base import MIN_LEARNED, Features
from worker.scoring.gaussian import OnlineGaussian
from worker.scoring.state import State


def spectrum(windows: NDArray[Any]) -> NDArray[np.float64]:
    """Return mean and deviation of each band over the whole Moment."""
    mean: NDArray[np.float64] = windows.reshape(-1, windows.shape[-1]).mean(0, dtype=np.float64)
    return mean


class GaussianExpert:
    """Distance of a feature, or of the vector that `view` finds in it, from its online Gaussian."""

    def __init__(
        self,
        feature: str,
        dim: int,
        view: Callable[[NDArray[Any]], NDArray[Any]] = np.asarray,
    ) -> None:
        self._feature = feature
        self._view = view
        self._gaussian = OnlineGaussian(dim)

    def score(self, features: Features) -> float | None:
        """Return the log Mahalanobis distance per dimension."""
        value = features.get(self._feature)
        if value is None or self._gaussian.count < MIN_LEARNED:
            return None
        return self._gaussian.score(self._view(value))

    def learn(self, features: Features) -> None:
        """Update the Gaussian."""
        if (value := features.get(self._feature)) is not None:
            self._gaussian.learn(self._view(value))

    def unlearn(self, features: Features) -> None:
        """A mean keeps what it was told."""

    def state(self) -> State:
        """Return the Gaussian's numbers."""
        return self._gaussian.state()

    def restore(self, state: State) -> None:
        """Take up the Gaussian's numbers."""
        self._gaussian.restore(state)
