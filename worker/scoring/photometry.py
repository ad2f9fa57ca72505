"""Light and gain of a picture against a reference, so that they need not count as a change."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOOR = 4.0  # levels; ratios of dark pixels are mostly noise
WHITE = 255.0
MAX_GAIN = 2.0  # a picture so much darker or brighter than usual stays different


def gain(picture: NDArray[Any], reference: NDArray[Any]) -> float:
    """Return how much brighter the picture is: the median ratio of pixels, within 1/2 and 2."""
    ratios = np.ravel((picture + FLOOR) / (reference + FLOOR))
    half = len(ratios) // 2
    ratios.partition(half)  # at one place alone numpy does it by vectors; np.median asks for two
    above = float(ratios[half])
    below = above if len(ratios) % 2 else float(ratios[:half].max())
    return min(max((below + above) / 2, 1 / MAX_GAIN), MAX_GAIN)


def in_light_of(picture: NDArray[Any], reference: NDArray[Any]) -> NDArray[np.float32]:
    """Return the picture in the light of the reference; both in levels of 255, one shape.

    What would be brighter than white is white in the picture, and no difference.
    """
    levels = picture.astype(np.float32, copy=False)
    factor = np.float32(gain(levels, reference))
    expected = np.minimum(factor * reference, np.float32(WHITE))
    relit: NDArray[np.float32] = reference + (levels - expected) / factor
    return relit
