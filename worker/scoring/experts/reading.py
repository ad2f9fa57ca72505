"""Experts on a single number that has a bad direction: their calibration is all that they learn."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.scoring.experts.base import MIN_LEARNED, Features, seen
from worker.scoring.state import State, integers

DARK_FLOOR = 2.0  # levels of 255; below it, darker is not told from darker


class ReadingExpert:
    """The number that `read` finds in a feature is the score itself; higher is worse.

    Where `see` is given, `read` is told what that sees in the feature, which others look at too.
    """

    def __init__(
        self,
        feature: str,
        read: Callable[[Any], float],
        see: Callable[[NDArray[Any]], Any] | None = None,
    ) -> None:
        self._feature = feature
        self._read = read
        self._see = see
        self._learned = 0

    def score(self, features: Features) -> float | None:
        """Return the number."""
        if self._learned < MIN_LEARNED or self._feature not in features:
            return None
        if self._see is None:
            return self._read(features[self._feature])
        return self._read(seen(features, self._feature, self._see))

    def learn(self, features: Features) -> None:
        """Count the Moment; the scores themselves are kept as calibration."""
        if self._feature in features:
            self._learned += 1

    def unlearn(self, features: Features) -> None:
        """A count is all that was learned."""

    def state(self) -> State:
        """Return how many Moments were learned."""
        return {"learned": integers(self._learned)}

    def restore(self, state: State) -> None:
        """Take up the count."""
        self._learned = int(state["learned"][0])


class Light(NamedTuple):
    """Mean and standard deviation of a picture, in levels of 255."""

    mean: float
    deviation: float


def light(luminance: NDArray[Any]) -> Light:
    """Return the light of a picture."""
    levels = luminance.ravel().astype(np.float32, copy=False)
    mean = float(np.add.reduce(levels)) / len(levels)
    centred = levels - np.float32(mean)
    return Light(mean, math.sqrt(float(centred.dot(centred)) / len(levels)))


def darkness(seen: Light) -> float:
    """Return minus the log of the mean level: in nats, so a tenth of the light is 2.3 more."""
    return -math.log(seen.mean + DARK_FLOOR)


def flatness(seen: Light) -> float:
    """Return minus the log of contrast relative to the level: a covered lens shows no shapes."""
    return -math.log((seen.deviation + 1) / (seen.mean + 8))


def blur(sharpness: NDArray[Any]) -> float:
    """Return minus the log of fine detail relative to coarser detail, of the whole picture."""
    return -float(sharpness[0])


def stillness(motion: NDArray[Any]) -> float:
    """Return minus the log of the mean difference between the Moment's frames, in levels."""
    return -float(motion[0])


def silence(spectrum: NDArray[Any]) -> float:
    """Return minus the mean log energy of the bands, in nats: digital silence is 13.8."""
    bands = len(spectrum) // 2  # means, then deviations
    return -float(np.add.reduce(spectrum[:bands])) / bands


def nearness(margin: NDArray[Any]) -> float:
    """Return how much nearer the Moment is to a watch phrase than to ordinary sentences."""
    return float(margin[0])


def danger(margin: NDArray[Any]) -> float:
    """Return how much nearer the caption is to dangerous sentences than to ordinary ones."""
    return float(margin[0])


def disagreement(agreement: NDArray[Any]) -> float:
    """Return how much worse two modalities agree than others do, in deviations of those."""
    return -float(agreement[0])
