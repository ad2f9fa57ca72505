"""The real pictures and sounds that scenes are made of: the plaza clip, and scikit-image's files.

The two parts share no picture, no pedestrian and no sound of an anomaly: nothing that was chosen
on one part has seen the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import skimage
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageFilter
from skimage.measure import label, regionprops

from worker.demo.scene import PLAZA
from worker.feed import audio, video

Array = NDArray[Any]

WIDTH, HEIGHT = 192, 144  # pixels of a picture
PARTS = ("chosen", "held")
_FPS = 10
_POSES = 4  # of a pedestrian, a tenth of a second apart
_DIFFERENT = 28  # levels from the background, of 255
_TALL, _HEIGHTS = 1.4, (17, 55)  # at least so many times as tall as wide; pixels


@dataclass(frozen=True, slots=True)
class Sprite:
    """A cut-out: RGBA pictures of one size, shown one after the other."""

    poses: tuple[Array, ...]


def backdrop(name: str) -> Array:
    """Return the background (HEIGHT, WIDTH, 3): `plaza:X,Y`, `A over B`, or one of the files."""
    if name.startswith("plaza:"):
        x, y = map(int, name.removeprefix("plaza:").split(","))
        return _plaza()[0][y : y + HEIGHT, x : x + WIDTH]
    if " over " in name:
        upper, lower = (_fitted(picture(each)) for each in name.split(" over "))
        return np.concatenate([upper[: HEIGHT // 2], lower[HEIGHT // 2 :]])
    return _fitted(picture(name))


def picture(name: str) -> Array:
    """Return one of scikit-image's pictures as RGB."""
    path = Path(skimage.__file__).parent / "data" / name
    return np.asarray(Pillow.open(path).convert("RGB"))


def pasted(name: str, box: tuple[float, float, float, float]) -> Array:
    """Return a soft-edged RGBA cut-out of a picture; `box` in shares: left, top, right, bottom."""
    whole = picture(name)
    rows, columns = whole.shape[:2]
    left, top, right, bottom = box
    part = whole[int(top * rows) : int(bottom * rows), int(left * columns) : int(right * columns)]
    y, x = np.mgrid[-1 : 1 : part.shape[0] * 1j, -1 : 1 : part.shape[1] * 1j]
    alpha = np.clip((1 - (x**4 + y**4)) * 6, 0, 1) * 255
    return np.dstack([part, alpha.astype(np.uint8)])


def pedestrians(part: str) -> tuple[Sprite, ...]:
    """Return the pedestrians of one half of the plaza clip."""
    return _plaza()[1][part]


@cache
def sound(name: str) -> Array:
    """Return a whole sound file of the plaza scene, mono float32 at 16 kHz."""
    return np.concatenate([clip for _, clip in audio.decode(PLAZA / "audio" / name)])


def resized(image: Array, width: int, height: int) -> Array:
    """Return the picture at another size, in whatever channels it has."""
    return np.asarray(Pillow.fromarray(image).resize((max(2, width), max(2, height))))


@cache
def _plaza() -> tuple[Array, Mapping[str, tuple[Sprite, ...]]]:
    """Return the clip's background, and the pedestrians of its halves; all at half its size."""
    decoded = video.decode(PLAZA / "video.mp4", _FPS)
    frames = [np.ascontiguousarray(image[::2, ::2]) for _, image in decoded]
    background = np.median(np.stack(frames[::20]), axis=0).astype(np.uint8)
    half = len(frames) // 2
    halves = {PARTS[0]: range(0, half, _FPS), PARTS[1]: range(half, len(frames) - _POSES, _FPS)}
    found = {
        part: tuple(
            sprite
            for start in starts
            for sprite in _cut_out(frames[start : start + _POSES], background)
        )
        for part, starts in halves.items()
    }
    return background, found


def _fitted(image: Array) -> Array:
    return resized(image, WIDTH, HEIGHT)


def _cut_out(frames: Sequence[Array], background: Array) -> list[Sprite]:
    """Return those who stand apart from others in the first frame."""
    first = _differs(frames[0], background)
    sprites: list[Sprite] = []
    for region in regionprops(label(first)):
        top, left, bottom, right = region.bbox
        height, width = bottom - top, right - left
        if not (_HEIGHTS[0] <= height <= _HEIGHTS[1] and height >= _TALL * width):
            continue
        box = slice(max(0, top - 3), bottom + 3), slice(max(0, left - 5), right + 5)
        poses = tuple(_soft(frame[box], _differs(frame, background)[box]) for frame in frames)
        sprites.append(Sprite(poses))
    return sprites


def _differs(frame: Array, background: Array) -> Array:
    distance = np.abs(frame.astype(np.int16) - background).max(axis=2)
    mask = Pillow.fromarray(((distance > _DIFFERENT) * 255).astype(np.uint8))
    closed = mask.filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.MinFilter(3))
    return np.asarray(closed) > 0


def _soft(image: Array, mask: Array) -> Array:
    alpha = Pillow.fromarray((mask * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))
    return np.dstack([image, np.asarray(alpha)])


# What is pasted as an anomaly, by part: file and box of the cut-out.
OBJECTS: Mapping[str, Sequence[tuple[str, tuple[float, float, float, float]]]] = {
    "chosen": (
        ("chelsea.png", (0.2, 0.0, 0.8, 0.9)),
        ("horse.png", (0.0, 0.0, 1.0, 1.0)),
        ("clock_motion.png", (0.1, 0.1, 0.9, 0.9)),
    ),
    "held": (
        ("astronaut.png", (0.2, 0.0, 0.7, 0.5)),
        ("color.png", (0.1, 0.1, 0.9, 0.9)),
        ("motorcycle_right.png", (0.2, 0.2, 0.7, 0.9)),
    ),
}
SHARP_SOUNDS: Mapping[str, Sequence[str]] = {
    "chosen": ("events/impact.flac", "events/thud.flac"),
    "held": ("events/explosion.flac",),
}
