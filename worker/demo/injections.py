"""The unusual events that were not filmed, as changes of one picture or one clip of sound."""

from __future__ import annotations

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageFilter

from worker.feed.audio import Waveform
from worker.feed.video import Image

_BLUR_PIXELS = 12  # standard deviation; no shape of a person is left at 384 x 288
_BRIGHTNESS = 0.15


def cover_lens(image: Image) -> Image:
    """Return the picture as seen through something held before the lens: blurred, 15% as bright."""
    blurred = PillowImage.fromarray(image).filter(ImageFilter.GaussianBlur(_BLUR_PIXELS))
    return np.round(np.asarray(blurred) * _BRIGHTNESS).astype(np.uint8)


def mix(clip: Waveform, sound: Waveform, delay: int, gain_db: float) -> Waveform:
    """Return `clip` with `sound` added, clipped to [-1, 1].

    The sound begins `delay` samples after the clip; before it, where negative. What of it lies
    outside of the clip is not heard.
    """
    begin, end = max(0, delay), min(len(clip), delay + len(sound))
    mixed = clip.copy()
    if begin < end:
        mixed[begin:end] += sound[begin - delay : end - delay] * np.float32(10 ** (gain_db / 20))
    return np.clip(mixed, -1, 1)
