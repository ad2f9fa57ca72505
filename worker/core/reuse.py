"""Which frames of a Moment show nothing that another one of it does not show.

The rule looks at one Moment alone: what is encoded does not depend on batches, on other Moments, or
on what a worker remembers, so a Moment that is judged again after a crash comes out the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# In levels of 255, on cells that are the mean of a few dozen pixels each.
LIGHT = 0.5  # mean difference: more is a change of light
NOISE = 1.0  # within which nine tenths of the cells of two pictures of one scene differ
PEAK = 3.0  # what any cell may differ by: more is an object
# Mean difference of single pixels to the contrast of the picture: up to here the embeddings of two
# pictures have a cosine of at least 0.99; above it noise is part of what a source usually shows.
RELATIVE_NOISE = 0.015


@dataclass(frozen=True, slots=True)
class Look:
    """A picture as the rule sees it: luminance (h, w) of its cells, and pixels (H, W) of it."""

    cells: NDArray[Any]
    pixels: NDArray[Any]


def shown_before(pictures: Sequence[Look]) -> list[int]:
    """Return for each picture the place of the one whose embedding stands for it.

    That is its own place, or the last earlier one that was not spared itself, where the two differ
    by no more than noise.

    >>> dark, light = (Look(np.full((4, 4), n, np.uint8), np.eye(4)) for n in (9, 10))
    >>> shown_before([dark, dark, light, light])
    [0, 0, 2, 2]
    """
    places: list[int] = []
    for place, picture in enumerate(pictures):
        last = places[-1] if places else place
        is_spared = place > 0 and differ_by_noise(pictures[last], picture)
        places.append(last if is_spared else place)
    return places


def differ_by_noise(one: Look, other: Look) -> bool:
    """Tell whether two pictures differ in nothing but faint noise. Of other sizes they do not."""
    if one.pixels.shape != other.pixels.shape:
        return False
    difference = _difference(one.cells, other.cells)
    distance = np.abs(difference)
    return (
        abs(float(difference.mean())) <= LIGHT
        and float(distance.max()) <= PEAK
        and float(np.mean(distance <= NOISE)) >= 0.9
        and _relative_noise(one.pixels, other.pixels) <= RELATIVE_NOISE
    )


def _relative_noise(one: NDArray[Any], other: NDArray[Any]) -> float:
    return float(np.abs(_difference(one, other)).mean()) / max(float(one.std()), 1.0)


def _difference(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.int16]:
    difference: NDArray[np.int16] = one.astype(np.int16) - other
    return difference
