"""How sharp a picture is, whatever its light and contrast."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_FLOOR = 0.5  # levels; keeps the ratio finite in a picture of one colour


def sharpness(image: NDArray[Any]) -> NDArray[np.float32] | None:
    """Return (1,): the log of detail at the scale of pixels relative to that at twice the scale.

    `image` is RGB (H, W, 3) or luminance (H, W): the mean absolute Laplacian of the luminance over
    the mean absolute difference of every second pixel. Blur lowers it, noise raises it. None under
    4 x 4 pixels.
    """
    if min(image.shape[:2]) < 4:
        return None
    levels = np.asarray(Image.fromarray(image).convert("L")).astype(np.int16)
    laplacian = levels[:-2, 1:-1] + levels[2:, 1:-1]
    laplacian += levels[1:-1, :-2]
    laplacian += levels[1:-1, 2:]
    laplacian -= 4 * levels[1:-1, 1:-1]
    fine, coarse = _mean_of(laplacian), _mean_of(np.diff(levels[::2, ::2], axis=1))
    return np.array([np.log((fine + _FLOOR) / (coarse + _FLOOR))], np.float32)


def _mean_of(levels: NDArray[np.int16]) -> float:
    """Return the mean absolute value, by a sum of whole numbers: faster than numpy's mean."""
    return float(np.abs(levels).sum(dtype=np.int64)) / levels.size
