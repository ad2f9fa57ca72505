"""Inputs that are typical of each modality: what the start-up measurement runs on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIDE = 224  # pixels
CLIP_SAMPLES = 16_000  # one second

TEXTS = (
    "Two people walk past the fountain.",
    "An empty car park at night, lit by a single lamp.",
    "Smoke rises from the roof of the building on the left; a crowd has gathered in front of it.",
    "A van stops.",
)


def typical_frames(count: int, side: int = SIDE) -> NDArray[np.uint8]:
    """Return fixed pictures (count, side, side, 3) with the 1 / f spectrum of natural images.

    Field, Relations between the statistics of natural images (J. Opt. Soc. Am. A, 1987).
    """
    random = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    frequency[0, 0] = 1.0
    noise = np.fft.rfft2(random.standard_normal((count, 3, side, side))) / frequency
    noise[:, 1:] = noise[:, :1] + 0.3 * noise[:, 1:]  # colours go together
    pictures = np.fft.irfft2(noise, (side, side))
    spread = pictures.std(axis=(1, 2, 3), keepdims=True)
    scaled = 127 + 60 * (pictures - pictures.mean(axis=(1, 2, 3), keepdims=True)) / spread
    return np.ascontiguousarray(scaled.clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1))


def typical_texts(repeats: int) -> list[str]:
    """Return each of the texts `repeats` times."""
    return [text for text in TEXTS for _ in range(repeats)]


def typical_clips(count: int) -> NDArray[np.float32]:
    """Return fixed clips (count, 16000) at 16 kHz: noise with the 1 / f spectrum of ambience."""
    random = np.random.default_rng(0)
    frequency = np.fft.rfftfreq(CLIP_SAMPLES)
    frequency[0] = 1.0
    noise = np.fft.rfft(random.standard_normal((count, CLIP_SAMPLES))) / np.sqrt(frequency)
    sound = np.fft.irfft(noise, CLIP_SAMPLES)
    scaled = 0.1 * sound / sound.std(axis=1, keepdims=True)
    return np.asarray(scaled.clip(-1, 1), np.float32)
