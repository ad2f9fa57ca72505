"""How much the frames of a Moment differ from each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

_STILL = 0.05  # levels; frames that are equal to the last byte differ by nothing


def motion(thumbnails: Sequence[NDArray[Any]]) -> NDArray[np.float32] | None:
    """Return (1,): the log of the mean absolute difference between one frame and the next.

    `thumbnails` are luminance in levels of 255. None from fewer than two.
    """
    steps = [np.abs(a.astype(np.int16) - b).mean() for a, b in pairwise(thumbnails)]
    return np.log(np.array([np.mean(steps) + _STILL], np.float32)) if steps else None
