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

    @property
    def is_known(self) -> bool:
        """Whether there is a thumbnail to take the median of."""
        return bool(self._sample.kept)

    def median(self) -> NDArray[np.float32]:
        """Return the usual picture, (48, 64) in 0..255, where `is_known`; it is not kept."""
        return median_picture(self._sample.kept)

    def learn(self, thumbnail: NDArray[Any]) -> bool:
        """Keep the thumbnail where its turn has come; tell whether it has: the median moves."""
        is_next = self._sample.is_next()
        if is_next:
            self._sample.keep(thumbnail.astype(np.uint8))
        return is_next

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


def median_picture(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Return the median of each pixel over one or more pictures of one shape.

    Sorts all pixels at once by odd-even transposition, whole pictures at a time: several times
    faster than numpy's median, which visits each pixel by itself. Of nine, as most are, three
    sorted triples tell it, in half of the steps.
    """
    count = len(pictures)
    if count == 9:
        return _median_of_nine(np.array(pictures)).astype(np.float32)
    even, odd = np.array(pictures[::2]), np.array(pictures[1::2], np.uint8)
    for step in range(count if len(odd) else 0):
        is_odd = step % 2
        lower, upper = (odd[: len(even) - 1], even[1:]) if is_odd else (even[: len(odd)], odd)
        smaller = np.minimum(lower, upper)
        np.maximum(lower, upper, out=upper)
        lower[:] = smaller
    middle = [(odd if place % 2 else even)[place // 2] for place in ((count - 1) // 2, count // 2)]
    median: NDArray[np.float32] = np.array(middle, np.float32).mean(axis=0)
    return median


def _median_of_nine(stack: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return it by three triples (Paeth, "Median finding on a 3 x 3 grid", Graphics Gems, 1990).

    With all of them sorted it is the median of the largest of the smallest ones, the median of the
    middle ones, and the smallest of the largest ones.
    """
    one, other, third = stack[:3], stack[3:6], stack[6:]
    smaller, larger = np.minimum(one, other), np.maximum(one, other)
    middle = np.minimum(larger, third)
    lows, highs = np.minimum(smaller, middle), np.maximum(larger, third)
    middles = np.maximum(smaller, middle)
    return _middle(np.maximum.reduce(lows), _middle(*middles), np.minimum.reduce(highs))


def _middle(
    one: NDArray[np.uint8], other: NDArray[np.uint8], third: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Return the middle one of three, pixel by pixel."""
    smaller, larger = np.minimum(one, other), np.maximum(one, other)
    middle: NDArray[np.uint8] = np.maximum(smaller, np.minimum(larger, third))
    return middle
