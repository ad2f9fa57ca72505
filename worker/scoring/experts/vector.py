"""An expert on a feature vector that is more or less normally distributed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from worker.scoring.experts.base import MIN_LEARNED, Features
from worker.scoring.gaussian import OnlineGaussian
from worker.scoring.state import State

Reading = Callable[[Features], NDArray[Any] | None]


class GaussianExpert:
    """Distance of a vector, which `reading` finds in the features, from its online Gaussian."""

    def __init__(self, reading: Reading, dim: int) -> None:
        self._reading = reading
        self._gaussian = OnlineGaussian(dim)

    def score(self, features: Features) -> float | None:
        """Return the log Mahalanobis distance per dimension."""
        x = self._reading(features)
        return None if x is None or self._gaussian.count < MIN_LEARNED else self._gaussian.score(x)

    def learn(self, features: Features) -> None:
        """Update the Gaussian."""
        if (x := self._reading(features)) is not None:
            self._gaussian.learn(x)

    def state(self) -> State:
        """Return the Gaussian's numbers."""
        return self._gaussian.state()

    def restore(self, state: State) -> None:
        """Take up the Gaussian's numbers."""
        self._gaussian.restore(state)


def feature(name: str) -> Reading:
    """Return the reading of a feature as it is."""
    return lambda features: features.get(name)
