"""What experts look at in the frames of a Moment, beside their embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.media.motion import motion
from worker.media.sharpness import sharpness

Array = NDArray[Any]


def seen_in(pictures: Sequence[Array], thumbnails: Sequence[Array]) -> dict[str, Array]:
    """Return what experts look at in the frames of a Moment, of which there is at least one.

    The luminance is the mean over the frames: noise, rain and recompression are less in it.
    """
    seen: dict[str, Array | None] = {
        "luminance": np.asarray(np.mean(thumbnails, axis=0, dtype=np.float32)),
        "sharpness": sharpness(pictures[len(pictures) // 2]),
        "motion": motion(thumbnails),
    }
    return {name: value for name, value in seen.items() if value is not None}
