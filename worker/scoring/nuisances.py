"""Harmless changes of a picture, made up: what light, weather, sensor and codec may do to it.

A source that has only seen good weather would take rain for an anomaly. Shown such changes of its
own pictures, it learns in which directions they move what an expert looks at.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Levels = NDArray[Any]  # luminance (H, W) in 0..255, H and W even
Draw = np.random.RandomState  # the one generator of numpy whose numbers never change


class _Kept(threading.local):
    """A generator for each thread: to make one takes sixty times as long as to seed it anew."""

    def __init__(self) -> None:
        self.draw = Draw()


_kept = _Kept()


def changed(picture: NDArray[Any], number: int) -> Levels:
    """Return the picture after the `number`-th change, number >= 0; equal numbers, equal changes.

    The kinds take turns: light and gamma, a shadow, haze and rain, noise, and a poor codec.
    """
    _kept.draw.seed(number)
    after = KINDS[number % len(KINDS)](picture.astype(np.float32), _kept.draw)
    return np.clip(after, 0, 255).astype(np.float32)


def _light(levels: Levels, draw: Draw) -> Levels:
    gamma, gain = draw.uniform(0.8, 1.25), np.exp(draw.uniform(-0.45, 0.4))
    lit: Levels = 255 * (levels / 255) ** np.float32(gamma) * np.float32(gain)
    return lit


def _shadow(levels: Levels, draw: Draw) -> Levels:
    """Darken a band with soft edges, at any angle."""
    y, x = _places(*levels.shape)
    angle, begin, breadth = draw.uniform(0, 2 * np.pi), draw.uniform(-25, 25), draw.uniform(8, 30)
    across = x * np.cos(angle) + y * np.sin(angle) - begin
    band = 1 / (1 + np.exp(-across / 3)) - 1 / (1 + np.exp(-(across - breadth) / 3))
    shaded: Levels = levels * (1 - np.float32(draw.uniform(0.15, 0.4)) * band.astype(np.float32))
    return shaded


@cache
def _places(height: int, width: int) -> NDArray[np.float64]:
    """Return how far each pixel is below the middle, and how far right of it."""
    return np.mgrid[0:height, 0:width] - np.array([height, width])[:, None, None] / 2


def _haze(levels: Levels, draw: Draw) -> Levels:
    """Take contrast away, and add bright streaks in a quarter of the pixels."""
    contrast, grey = draw.uniform(0.75, 0.95), draw.uniform(90, 180)
    streaks = (draw.uniform(size=levels.shape) < 0.25) * draw.exponential(12, levels.shape)
    hazy: Levels = levels * contrast + (1 - contrast) * grey + streaks
    return hazy


def _noise(levels: Levels, draw: Draw) -> Levels:
    noisy: Levels = levels + draw.normal(0, draw.uniform(1, 4), levels.shape)
    return noisy


def _codec(levels: Levels, draw: Draw) -> Levels:
    """Mix in blocks of 2 x 2 with coarse levels."""
    height, width = levels.shape
    blocks = levels.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    step, share = draw.uniform(2, 6), draw.uniform(0.3, 1)
    coarse = np.repeat(np.repeat(np.round(blocks / step) * step, 2, axis=0), 2, axis=1)
    mixed: Levels = levels * (1 - share) + coarse * share
    return mixed


KINDS: Sequence[Callable[[Levels, Draw], Levels]] = (_light, _shadow, _haze, _noise, _codec)
