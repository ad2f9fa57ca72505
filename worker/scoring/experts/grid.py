"""The expert on what does not belong in the picture, whatever the light."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.scoring.background import MedianBackground
from worker.scoring.experts.base import MIN_LEARNED, Features
from worker.scoring.gaussian import OnlineGaussian
from worker.scoring.nuisances import changed
from worker.scoring.photometry import in_light_of
from worker.scoring.state import State, nested, part

ROWS, COLUMNS = 12, 16
WIDENED = 240  # harmless changes that are made up, one with each of the first Moments


class GridExpert:
    """Differences from the median background on a 16 x 12 grid, after the light is made equal.

    A cell is the log of 1 + the mean absolute difference of its pixels, in levels. The Gaussian of
    the cells is widened by what harmless changes of the source's own pictures do to them.
    """

    def __init__(self) -> None:
        self._background = MedianBackground()
        self._gaussian = OnlineGaussian(ROWS * COLUMNS)

    def score(self, features: Features) -> float | None:
        """Return the log Mahalanobis distance per cell."""
        thumbnail, usual = features.get("luminance"), self._background.median
        if thumbnail is None or usual is None or self._gaussian.count < MIN_LEARNED:
            return None
        return self._gaussian.score(deviation(thumbnail, usual))

    def heat(self, features: Features) -> NDArray[np.float64] | None:
        """Return each cell's share (ROWS, COLUMNS) of what makes the picture unusual; sum 1.

        None where `score` gives none, or nothing stands out anywhere.
        """
        thumbnail, usual = features.get("luminance"), self._background.median
        if thumbnail is None or usual is None or self._gaussian.count < MIN_LEARNED:
            return None
        parts = np.maximum(self._gaussian.parts(deviation(thumbnail, usual)), 0)
        total = float(parts.sum())
        return (parts / total).reshape(ROWS, COLUMNS) if total > 0 else None

    def learn(self, features: Features) -> None:
        """Update the Gaussian by the deviation from the background so far, then the background."""
        thumbnail, usual = features.get("luminance"), self._background.median
        if thumbnail is None:
            return
        if usual is not None:
            seen = deviation(thumbnail, usual)
            if (number := self._gaussian.widened) < WIDENED:
                self._gaussian.widen(deviation(changed(thumbnail, number), usual) - seen)
            self._gaussian.learn(seen)
        self._background.learn(thumbnail)

    def unlearn(self, features: Features) -> None:
        """A mean keeps what it was told."""

    def state(self) -> State:
        """Return the background and the Gaussian's numbers."""
        return nested({"background": self._background.state(), "gaussian": self._gaussian.state()})

    def restore(self, state: State) -> None:
        """Take up both."""
        self._background.restore(part(state, "background"))
        self._gaussian.restore(part(state, "gaussian"))


def deviation(thumbnail: NDArray[Any], usual: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return log1p of the mean absolute difference per cell (ROWS * COLUMNS,), in equal light."""
    cells: NDArray[np.float32] = np.log1p(cell_means(np.abs(in_light_of(thumbnail, usual) - usual)))
    return cells


def cell_means(picture: NDArray[Any]) -> NDArray[np.float32]:
    """Return the mean of each cell (ROWS * COLUMNS,), row by row."""
    height, width = picture.shape[0] // ROWS, picture.shape[1] // COLUMNS
    blocks = picture.reshape(ROWS, height, COLUMNS, width)
    means: NDArray[np.float32] = blocks.mean(axis=(1, 3), dtype=np.float32).ravel()
    return means
