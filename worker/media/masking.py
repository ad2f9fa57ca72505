"""Paints over what of a picture is not to be looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from worker.core.masks import Area
from worker.media.images import Pixels


def masked(image: Pixels, areas: Sequence[Area]) -> Pixels:
    """Return a picture with the areas in the mean colour of the rest; black without a rest.

    `image` is RGB (H, W, 3) or luminance (H, W). So what happens there changes nothing, and light
    that changes for all changes it as well.
    """
    if not areas:
        return image
    height, width = image.shape[:2]
    hidden = np.zeros((height, width), dtype=bool)
    for area in areas:
        rows = slice(math.floor(area.top * height), math.ceil(area.bottom * height))
        columns = slice(math.floor(area.left * width), math.ceil(area.right * width))
        hidden[rows, columns] = True
    painted = image.copy()
    rest = image[~hidden]
    painted[hidden] = rest.mean(axis=0).round().astype(np.uint8) if len(rest) else 0
    return painted
