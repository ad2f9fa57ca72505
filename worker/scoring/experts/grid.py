"""The expert on what does not belong in the picture, whatever the light."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.scoring.background import MedianBackground
from worker.scoring.experts.base import MIN_LEARNED, Features
from worker.scoring.gaussian import OnlineGaussian
from worker.scoring.nuisances import changed
from worker.scoring.photometry import gains, lit, sampled
from worker.scoring.state import State, nested, part

ROWS, COLUMNS = 12, 16
WIDENED = 240  # harmless changes that are made up, one with each of the first Moments
LATELY = 9  # thumbnails of the latest background,
LATELY_STRIDE = 4  # Moments apart once there are so many: longer than most events, not than an hour


class _Seen(NamedTuple):
    """A deviation, and the very array that it was found from, since the last learning."""

    thumbnail: NDArray[Any]
    deviation: NDArray[np.float32]


class References(NamedTuple):
    """Pictures to compare with, and what tells the gain against each of them."""

    pictures: NDArray[np.float32]  # (n, 48, 64)
    samples: NDArray[np.float32]  # (n, pixels)

    @classmethod
    def of(cls, pictures: Sequence[NDArray[np.float32]]) -> References:
        """Return n pictures as references."""
        stack = np.array(pictures)
        return cls(stack, sampled(stack))

    def change(self, place: int, picture: NDArray[np.float32]) -> None:
        """Put a picture in the place of another one."""
        self.pictures[place], self.samples[place] = picture, sampled(picture)


class GridExpert:
    """Differences from two median backgrounds on a 16 x 12 grid, after the light is made equal.

    A cell is the log of 1 + the mean absolute difference of its pixels, in levels, from the usual
    picture or from that of lately, whichever it is nearer to: what moves slowly, as shadows do, is
    always like lately. The Gaussian of the cells is widened by what harmless changes of the
    source's own pictures do to them.
    """

    def __init__(self) -> None:
        self._backgrounds = (MedianBackground(), MedianBackground(LATELY, LATELY_STRIDE))
        self._medians: References | None = None  # of the backgrounds, found when looked at
        self._moved: set[int] = set()  # places of those medians that are others by now
        self._gaussian = OnlineGaussian(ROWS * COLUMNS)
        self._seen: _Seen | None = None  # a picture is scored, and then learned

    def score(self, features: Features) -> float | None:
        """Return the log Mahalanobis distance per cell."""
        seen = self._deviation(features)
        if seen is None or self._gaussian.count < MIN_LEARNED:
            return None
        return self._gaussian.score(seen)

    def heat(self, features: Features) -> NDArray[np.float64] | None:
        """Return each cell's share (ROWS, COLUMNS) of what makes the picture unusual; sum 1.

        None where `score` gives none, or nothing stands out anywhere.
        """
        seen = self._deviation(features)
        if seen is None or self._gaussian.count < MIN_LEARNED:
            return None
        parts = np.maximum(self._gaussian.parts(seen), 0)
        total = float(parts.sum())
        return (parts / total).reshape(ROWS, COLUMNS) if total > 0 else None

    def learn(self, features: Features) -> None:
        """Update the Gaussian by the deviation from what is known so far, then the backgrounds."""
        thumbnail = features.get("luminance")
        if thumbnail is None:
            return
        seen = self._deviation(features)
        if seen is not None:
            if (number := self._gaussian.widened) < WIDENED:
                altered = deviation(changed(thumbnail, number), self._references())
                self._gaussian.widen(altered - seen)
                if number + 1 == WIDENED:
                    self._gaussian.end_widening()
            self._gaussian.learn(seen)
        self._seen = None
        for place, each in enumerate(self._backgrounds):
            if each.learn(thumbnail):
                self._moved.add(place)

    def _references(self) -> References:
        """Return the medians of the backgrounds, which are known."""
        if self._medians is None:
            self._medians = References.of([each.median() for each in self._backgrounds])
            self._moved.clear()
        while self._moved:
            place = self._moved.pop()
            self._medians.change(place, self._backgrounds[place].median())
        return self._medians

    def _deviation(self, features: Features) -> NDArray[np.float32] | None:
        """Return the picture's deviation from the backgrounds; the last one is kept."""
        thumbnail = features.get("luminance")
        if thumbnail is None or not self._backgrounds[0].is_known:
            return None
        last = self._seen
        if last is None or last.thumbnail is not thumbnail:
            self._seen = last = _Seen(thumbnail, deviation(thumbnail, self._references()))
        return last.deviation

    def unlearn(self, features: Features) -> None:
        """A mean keeps what it was told."""

    def state(self) -> State:
        """Return the backgrounds and the Gaussian's numbers."""
        usual, lately = (each.state() for each in self._backgrounds)
        gaussian = self._gaussian.state()
        return nested({"background": usual, "lately": lately, "gaussian": gaussian})

    def restore(self, state: State) -> None:
        """Take up all of it."""
        self._seen = self._medians = None
        for name, each in zip(("background", "lately"), self._backgrounds, strict=True):
            each.restore(part(state, name))
        self._gaussian.restore(part(state, "gaussian"))


def deviation(thumbnail: NDArray[Any], references: References) -> NDArray[np.float32]:
    """Return log1p of the mean absolute difference per cell (ROWS * COLUMNS,), in equal light.

    Of the references each cell has its own nearest one.
    """
    factors = gains(sampled(thumbnail), references.samples)
    distances = lit(references.pictures, factors)
    distances -= thumbnail
    means = cell_means(np.abs(distances, distances))
    means /= factors[:, None]  # in the light of the references
    nearest: NDArray[np.float32] = np.minimum.reduce(means, axis=0)
    nearest += 1
    return np.log(nearest, nearest)


def cell_means(pictures: NDArray[Any]) -> NDArray[np.float32]:
    """Return the mean of each cell of pictures (..., H, W), row by row: (..., ROWS * COLUMNS)."""
    *others, height, width = pictures.shape
    rows = pictures.reshape(-1, height // ROWS, width)  # of cells
    sums: NDArray[np.float32] = np.add.reduce(rows, axis=1, dtype=np.float32)
    means: NDArray[np.float32] = sums.dot(_means(height // ROWS, width))
    return means.reshape(*others, ROWS * COLUMNS)


@cache
def _means(rows: int, pixels: int) -> NDArray[np.float32]:
    """Return the matrix (pixels, COLUMNS) by which sums of so many rows come to means of cells."""
    size = pixels // COLUMNS
    return np.kron(np.eye(COLUMNS), np.full((size, 1), 1 / (rows * size))).astype(np.float32)
