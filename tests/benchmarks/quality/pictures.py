"""What incidents do to a picture: painted into the scene, or done to the lens and the sensor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image as Pillow
from PIL import ImageFilter

from tests.benchmarks.quality.material import HEIGHT, WIDTH, Array, resized


@dataclass(frozen=True, slots=True)
class Shot:
    """When a picture is taken: seconds since its incident began, of `length`; and its draws.

    `steady` gives the same draws in all pictures of the incident, `flicker` other ones in each.
    `thing` is what is pasted, RGBA.
    """

    since: float
    length: float
    steady: np.random.Generator
    flicker: np.random.Generator
    thing: Array

    @property
    def share(self) -> float:
        """How much of it is over, 0..1."""
        return min(1.0, self.since / self.length)


def sensor_noise(random: np.random.Generator) -> Array:
    """Return the noise of a healthy sensor, two levels: one of a few planes, shifted at random."""
    planes = _noise_planes()
    plane = planes[int(random.integers(len(planes)))]
    return np.roll(plane, int(random.integers(plane.size)))


@cache
def _noise_planes() -> Array:
    return np.random.default_rng(0).normal(0, 2, (16, HEIGHT, WIDTH, 3)).astype(np.float32)


Effect = Callable[[Array, Shot], Array]  # float32 (HEIGHT, WIDTH, 3) in 0..255, to be changed


def paste(image: Array, cut: Array, left: int, top: int, opacity: float = 1.0) -> None:
    """Draw an RGBA cut-out into the picture; what lies outside is lost."""
    height, width = cut.shape[:2]
    y0, y1 = max(0, top), min(HEIGHT, top + height)
    x0, x1 = max(0, left), min(WIDTH, left + width)
    if y0 >= y1 or x0 >= x1:
        return
    part = cut[y0 - top : y1 - top, x0 - left : x1 - left].astype(np.float32)
    alpha = part[..., 3:] / 255 * opacity
    image[y0:y1, x0:x1] = (1 - alpha) * image[y0:y1, x0:x1] + alpha * part[..., :3]


def _placed(image: Array, shot: Shot, size: tuple[int, int], opacity: float = 1.0) -> Array:
    side = int(shot.steady.integers(*size))
    cut = resized(shot.thing, side, side)
    left, top = shot.steady.integers(6, WIDTH - side - 6), shot.steady.integers(36, 135 - side)
    paste(image, cut, int(left), int(top), opacity)
    return image


def _object(image: Array, shot: Shot) -> Array:
    return _placed(image, shot, (22, 38))


def _small_object(image: Array, shot: Shot) -> Array:
    return _placed(image, shot, (8, 12))


def _fading_in(image: Array, shot: Shot) -> Array:
    return _placed(image, shot, (22, 34), 0.7 * shot.share)


def _haze(random: np.random.Generator, cells: int) -> Array:
    coarse = (random.uniform(size=(cells, cells)) * 255).astype(np.uint8)
    smooth = Pillow.fromarray(coarse).resize((WIDTH, HEIGHT), Pillow.Resampling.BICUBIC)
    return np.asarray(smooth, np.float32) / 255


def _blob(shot: Shot, spread: float) -> Array:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    at_x, at_y = shot.steady.uniform(30, WIDTH - 30), shot.steady.uniform(54, 114)
    distance = ((x - at_x) / spread) ** 2 + ((y - at_y) / spread) ** 2
    return np.asarray(np.exp(-distance / 2), np.float32)


def _smoke(image: Array, shot: Shot) -> Array:
    spread = 11 + 30 * shot.share
    alpha = np.clip(_blob(shot, spread) * (0.4 + 0.8 * _haze(shot.flicker, 8)), 0, 0.85)[..., None]
    return (1 - alpha) * image + alpha * np.float32(170)


def _fire(image: Array, shot: Shot) -> Array:
    blob = _blob(shot, float(shot.steady.uniform(5, 8)))
    alpha = np.clip(blob * (0.5 + _haze(shot.flicker, 24)), 0, 0.95)[..., None]
    return (1 - alpha) * image + alpha * np.array([255, 150, 40], np.float32)


def _blurred(image: Array, radius: float) -> Array:
    whole = Pillow.fromarray(image.clip(0, 255).astype(np.uint8))
    return np.asarray(whole.filter(ImageFilter.GaussianBlur(radius)), np.float32)


def _covered(image: Array, shot: Shot) -> Array:
    return _blurred(image, 9) * np.float32(0.2) + np.array([18, 12, 10], np.float32)


def _dark(image: Array, shot: Shot) -> Array:
    return image * np.float32(0.04)


def _defocused(image: Array, shot: Shot) -> Array:
    return _blurred(image, float(shot.steady.uniform(1.8, 3)))


def _moved(image: Array, shot: Shot) -> Array:
    right, down = shot.steady.integers(12, 42), shot.steady.integers(-18, 18)
    return np.roll(image, (int(down), int(right)), axis=(0, 1))


def _rain(image: Array, shot: Shot) -> Array:
    drops = np.zeros((HEIGHT, WIDTH), np.float32)
    for _ in range(130):
        x, y = shot.flicker.integers(0, WIDTH), shot.flicker.integers(0, HEIGHT - 10)
        drops[y : y + int(shot.flicker.integers(4, 10)), x] = shot.flicker.uniform(0.2, 0.6)
    wet = 0.85 * image + 18  # less contrast
    return wet + drops[..., None] * (210 - wet)


def _slow_light(image: Array, shot: Shot) -> Array:
    warm = np.array([1.05, 1.0, 0.92], np.float32)
    change = 0.35 * np.sin(np.pi * shot.share)
    return np.asarray(image * (1 - np.float32(change) * (2 - warm)))


def _sudden_light(image: Array, shot: Shot) -> Array:
    gain = shot.steady.choice([0.7, 0.8, 1.25, 1.4])
    tint = shot.steady.uniform(0.93, 1.07, 3).astype(np.float32)
    return image * np.float32(gain) * tint


def _camera_gain(image: Array, shot: Shot) -> Array:
    gain, gamma = shot.steady.uniform(0.8, 1.3), shot.steady.uniform(0.85, 1.15)
    curved = 255 * (np.clip(image, 0, 255) / 255) ** np.float32(gamma) * np.float32(gain)
    return curved + shot.flicker.normal(0, 3, image.shape).astype(np.float32)


def _sensor_noise(image: Array, shot: Shot) -> Array:
    return image + shot.flicker.normal(0, 10, image.shape).astype(np.float32)


def _cloud_shadow(image: Array, shot: Shot) -> Array:
    x = np.arange(WIDTH, dtype=np.float32)
    edge = WIDTH * (2.4 * shot.share - 0.2)
    shade = 1 / (1 + np.exp((x - edge) / 11)) - 1 / (1 + np.exp((x - edge + 110) / 11))
    return image * (1 - np.float32(0.3) * shade)[None, :, None]


PAINTED: Mapping[str, Effect] = {
    "object": _object,
    "small_object": _small_object,
    "fading_in": _fading_in,
    "smoke": _smoke,
    "fire": _fire,
}
THROUGH_THE_LENS: Mapping[str, Effect] = {
    "covered": _covered,
    "dark": _dark,
    "defocused": _defocused,
    "moved": _moved,
    "rain": _rain,
    "slow_light": _slow_light,
    "sudden_light": _sudden_light,
    "camera_gain": _camera_gain,
    "sensor_noise": _sensor_noise,
    "cloud_shadow": _cloud_shadow,
}
