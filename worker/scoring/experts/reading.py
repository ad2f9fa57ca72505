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
    """The number itself is the score; `read` returns it, higher is worse, or None."""

    def __init__(self, read: Callable[[Features], float | None]) -> None:
        self._read = read
        self._learned = 0

    def score(self, features: Features) -> float | None:
        """Return the number."""
        return None if self._learned < MIN_LEARNED else self._read(features)

    def learn(self, features: Features) -> None:
        """Count the Moment; the scores themselves are kept as calibration."""
        if self._read(features) is not None:
            self._learned += 1

    def state(self) -> State:
        """Return how many Moments were learned."""
        return {"learned": integers(self._learned)}

    def restore(self, state: State) -> None:
        """Take up the count."""
        self._learned = int(state["learned"][0])


def darkness(features: Features) -> float | None:
    """Return minus the log of the mean level: in nats, so a tenth of the light is 2.3 more."""
    luminance = features.get("luminance")
    if luminance is None:
        return None
    return -float(np.log(luminance.mean(dtype=np.float64) + DARK_FLOOR))


def flatness(features: Features) -> float | None:
    """Return minus the log of contrast relative to the level: a covered lens shows no shapes."""
    luminance = features.get("luminance")
    if luminance is None:
        return None
    levels = luminance.astype(np.float64)
    return -float(np.log((levels.std() + 1) / (levels.mean() + 8)))


def blur(features: Features) -> float | None:
    """Return minus the log of fine detail relative to coarser detail, of the whole picture."""
    sharpness = features.get("sharpness")
    return None if sharpness is None else -float(sharpness[0])


def stillness(features: Features) -> float | None:
    """Return minus the log of the mean difference between the Moment's frames, in levels."""
    motion = features.get("motion")
    return None if motion is None else -float(motion[0])


def spectrum(features: Features) -> NDArray[Any] | None:
    """Return mean and deviation of each band over the whole Moment."""
    windows = features.get("audio_windows")
    if windows is None:
        return None
    mean: NDArray[Any] = windows.reshape(-1, windows.shape[-1]).mean(axis=0, dtype=np.float64)
    return mean


def silence(features: Features) -> float | None:
    """Return minus the mean log energy of the bands, in nats: digital silence is 13.8."""
    windows = features.get("audio_windows")
    if windows is None:
        return None
    bands = windows.shape[-1] // 2  # means, then deviations
    return -float(windows[..., :bands].mean(dtype=np.float64))


def danger(features: Features) -> float | None:
    """Return how much nearer the caption is to dangerous sentences than to ordinary ones."""
    margin = features.get("text_danger")
    return None if margin is None else float(margin[0])
