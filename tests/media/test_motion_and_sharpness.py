"""The single numbers that are read off frames: their direction, and what they ignore."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from worker.media.motion import motion
from worker.media.sharpness import sharpness


def noise(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 255, (48, 64, 3), dtype=np.uint8)


def test_equal_frames_differ_least_and_single_ones_cannot_be_compared() -> None:
    one, other = noise(1)[..., 0], noise(2)[..., 0]
    still, lively = motion([one, one]), motion([one, other])
    assert still is not None and lively is not None
    assert still[0] == np.log(np.float32(0.05)) < lively[0]
    assert motion([one]) is None


def test_blur_lowers_sharpness_and_contrast_does_not_change_it() -> None:
    picture = Image.fromarray(noise(3))
    plain = sharpness(np.asarray(picture))
    blurred = sharpness(np.asarray(picture.filter(ImageFilter.GaussianBlur(2))))
    faint = sharpness((np.asarray(picture) * 0.5).astype(np.uint8))
    assert plain is not None and blurred is not None and faint is not None
    assert blurred[0] < plain[0] - 0.5
    assert abs(faint[0] - plain[0]) < 0.1


def test_a_picture_of_a_few_pixels_has_no_sharpness() -> None:
    assert sharpness(noise(4)[:3]) is None
    assert sharpness(np.zeros((4, 4, 3), np.uint8)) is not None
