"""Experts on a single number that has a bad direction: their calibration is all that they learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.scoring.experts.base import MIN_LEARNED, Features
from worker.scoring.state import State, integers

DARK_FLOOR = 2.0  # levels of 255; below it, darker is not told from darker


class ReadingExpert:
    """The number that `read` finds in a feature is the score itself; higher is worse."""

    def __init__(self, feature: str, read: Callable[[NDArray[Any]], float]) -> None:
        self._feature = feature
        self._read = read
        self._learned = 0

    def score(self, features: Features) -> float | None:
        """Return the number."""
        value = features.get(self._feature)
        return None if value is None or self._learned < MIN_LEARNED else self._read(value)

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


def darkness(luminance: NDArray[Any]) -> float:
    """Return minus the log of the mean level: in nats, so a tenth of the light is 2.3 more."""
    return -float(np.log(luminance.mean(dtype=np.float64) + DARK_FLOOR))


def flatness(luminance: NDArray[Any]) -> float:
    """Return minus the log of contrast relative to the level: a covered lens shows no shapes."""
    levels = luminance.ravel().astype(np.float64)
    mean = levels.mean()
    levels -= mean
    deviation = np.sqrt(levels @ levels / len(levels))
    return -float(np.log((deviation + 1) / (mean + 8)))


def blur(sharpness: NDArray[Any]) -> float:
    """Return minus the log of fine detail relative to coarser detail, of the whole picture."""
    return -float(sharpness[0])


def stillness(motion: NDArray[Any]) -> float:
    """Return minus the log of the mean difference between the Moment's frames, in levels."""
    return -float(motion[0])


def silence(windows: NDArray[Any]) -> float:
    """Return minus the mean log energy of the bands, in nats: digital silence is 13.8."""
    bands = windows.shape[-1] // 2  # means, then deviations
    return -float(windows[..., :bands].mean(dtype=np.float64))


def nearness(margin: NDArray[Any]) -> float:
    """Return how much nearer the Moment is to a watch phrase than to ordinary sentences."""
    return float(margin[0])


def danger(margin: NDArray[Any]) -> float:
    """Return how much nearer the caption is to dangerous sentences than to ordinary ones."""
    return float(margin[0])


def disagreement(agreement: NDArray[Any]) -> float:
    """Return how much worse two modalities agree than others do, in deviations of those."""
    return -float(agreement[0])
