"""What experts look at in the frames of a Moment, beside their embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.core.reuse import Look
from worker.media.motion import motion

Array = NDArray[Any]


def seen_in(looks: Sequence[Look]) -> dict[str, Array]:
    """Return what experts look at in the frames of a Moment, of which there is at least one.

    The luminance is the mean over the frames: noise, rain and recompression are less in it. The
    sharpness is that of the middle one.
    """
    cells, sharpness = [look.cells for look in looks], looks[len(looks) // 2].sharpness
    seen: dict[str, Array | None] = {
        "luminance": np.asarray(np.mean(cells, axis=0, dtype=np.float32)),
        "sharpness": None if sharpness is None or not sharpness.size else sharpness,
        "motion": motion(cells),
    }
    return {name: value for name, value in seen.items() if value is not None}
