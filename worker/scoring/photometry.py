"""Light and gain of a picture against a reference, so that they need not count as a change."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOOR = 4.0  # levels; ratios of dark pixels are mostly noise
WHITE = 255.0
MAX_GAIN = 2.0  # a picture so much darker or brighter than usual stays different
SPACING = 4  # pixels: one in sixteen tells the gain as well as all of them


def sampled(pictures: NDArray[Any]) -> NDArray[np.float32]:
    """Return the pixels by which `gains` compares pictures (..., H, W), above FLOOR: (..., n)."""
    pixels: NDArray[np.float32] = pictures[..., 1::SPACING, 1::SPACING] + np.float32(FLOOR)
    return pixels.reshape(*pictures.shape[:-2], -1)


def gains(picture: NDArray[np.float32], references: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much brighter a picture is than each of k references, as `sampled`: (k,).

    The median ratio of pixels, within 1/2 and 2; of an even number the upper one.
    """
    ratios = picture / references
    half = ratios.shape[1] // 2
    ratios.partition(half, axis=1)  # at one place numpy does it by vectors; np.median asks for two
    medians = ratios[:, half].tolist()
    return np.array([min(max(each, 1 / MAX_GAIN), MAX_GAIN) for each in medians], np.float32)


def lit(references: NDArray[np.float32], factors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the references (n, H, W) as they were in a light by the `gains` (n,) of them.

    What would be brighter than white is white.
    """
    brighter: NDArray[np.float32] = factors[:, None, None] * references
    return np.minimum(brighter, np.float32(WHITE), out=brighter)
