"""The usual picture of a camera: a median over a few thumbnails, spread ever more widely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.scoring.spread import SpreadSample
from worker.scoring.state import State, integers

KEPT = 24  # thumbnails; an odd visitor in fewer than half of them leaves no trace
MAX_STRIDE = 32  # Moments between two kept thumbnails once the source is old


class MedianBackground:
    """The median of up to `kept` thumbnails, spread as in `SpreadSample`."""

    def __init__(self, kept: int = KEPT, max_stride: int = MAX_STRIDE) -> None:
        self._sample = SpreadSample[NDArray[np.uint8]](kept, max_stride)
        self._median: NDArray[np.float32] | None = None  # found when it is looked at

    @property
    def median(self) -> NDArray[np.float32] | None:
        """The usual picture, (48, 64) in 0..255; None while unknown."""
        if self._median is None and self._sample.kept:
            self._median = median_picture(self._sample.kept)
        return self._median

    def learn(self, thumbnail: NDArray[Any]) -> None:
        """Keep the thumbnail where its turn has come."""
        if self._sample.is_next():
            self._sample.keep(thumbnail.astype(np.uint8))
            self._median = None

    def state(self) -> State:
        """Return the kept thumbnails (n, 48, 64), and where it is in its stride."""
        kept = self._sample.kept
        return {
            "stride": integers(self._sample.stride, self._sample.since),
            "kept": np.stack(kept) if kept else np.zeros((0, 0, 0), np.uint8),
        }

    def restore(self, state: State) -> None:
        """Take up what another one has kept."""
        self._sample.stride, self._sample.since = map(int, state["stride"])
        self._sample.kept = [picture.copy() for picture in state["kept"]]
        self._median = None


def median_picture(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Return the median of each pixel over one or more pictures of one shape.

    Sorts all pixels at once by odd-even transposition, whole pictures at a time: several times
    faster than numpy's median, which visits each pixel by itself.
    """
    stack, count = np.stack(pictures), len(pictures)
    for step in range(count):
        upper = stack[step % 2 + 1 :: 2]
        lower = stack[step % 2 :: 2][: len(upper)]
        smaller = np.minimum(lower, upper)
        np.maximum(lower, upper, out=upper)
        lower[:] = smaller
    middle = stack[(count - 1) // 2 : count // 2 + 1].astype(np.float32)
    median: NDArray[np.float32] = middle.mean(axis=0)
    return median
