"""Log-mel statistics: how a clip sounds, without weights.

The power spectrum of 25 ms Hann windows every 10 ms (512-point transform at 16 kHz) through 64
triangular filters, even on the HTK mel scale from 0 to 8 kHz, peak 1; the natural logarithm of
(energy + 1e-6). It has no state, so windows can be computed in any thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from worker.core.events import Modality
from worker.models.base import Embeddings, unit_rows
from worker.models.weights import joint_digest

SAMPLE_RATE = 16_000
WINDOW_SECONDS = 0.25
BANDS = 64

_TRANSFORM = 512
_FRAME, _HOP = 400, 160  # samples
_WINDOW = int(WINDOW_SECONDS * SAMPLE_RATE)
_FRAMES_PER_STEP = _WINDOW // _HOP
_FRAMES_PER_WINDOW = (_WINDOW - _TRANSFORM) // _HOP + 1  # frames that lie wholly inside a window
_FLOOR = 1e-6
_CENTRE = float(np.log(_FLOOR)) / 2  # half-way between digital silence and an energy of 1
_MIN_DEVIATION = 0.01  # keeps the vector of any clip away from zero

_PREPROCESSING = "logmel 3: hann 400/160, fft 512, 64 htk mels 0-8000, ln(e+1e-6), mean+std"

Waveform = NDArray[np.float32]  # (N,)
Mels = NDArray[np.float32]  # (frames, 64), in nats


class LogMelEncoder:
    """Mean and standard deviation of each band over the clip, centred, as a unit vector (128,)."""

    name = "logmel"
    modality = Modality.AUDIO
    dim = 2 * BANDS
    input_size = 0
    digest = joint_digest(_PREPROCESSING)

    def encode(self, batch: Sequence[Waveform | Mels]) -> Embeddings:
        """Return float16 (B, 128). What has been computed before may stand for a clip's samples.

        Raises ValueError for a clip without samples.
        """
        if not batch:
            return np.zeros((0, self.dim), np.float16)
        mels = (clip if clip.ndim == 2 else log_mels(clip) for clip in batch)
        return unit_rows(np.stack(list(map(_clip_vector, mels))), self.name)


def windows(mels: Mels) -> NDArray[np.float16]:
    """Return (n, 128), n >= 1: mean and standard deviation of each band per 0.25 s, in nats.

    Windows do not overlap, but for the last one, which ends with the clip.
    """
    last = len(mels) - _FRAMES_PER_WINDOW
    starts = list(range(0, last + 1, _FRAMES_PER_STEP))
    if starts[-1] < last:
        starts.append(last)
    parts = np.stack([mels[start : start + _FRAMES_PER_WINDOW] for start in starts])
    return _statistics(parts).astype(np.float16)


def log_mels(waveform: Waveform) -> Mels:
    """Return (frames, 64) in nats. A clip shorter than a window is padded with silence.

    Raises ValueError for a clip without samples.
    """
    if waveform.ndim != 1 or not len(waveform):
        raise ValueError("a waveform is one-dimensional and has samples")
    padded = np.pad(waveform, (0, max(0, _WINDOW - len(waveform))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _TRANSFORM)[::_HOP]
    spectrum = np.fft.rfft(frames * _window())
    power = spectrum.real**2 + spectrum.imag**2
    logs: Mels = np.log(power @ _filters() + np.float32(_FLOOR))
    return logs


@cache
def _window() -> NDArray[np.float32]:
    """Return a periodic Hann window in the middle of the frame that is transformed."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FRAME) / _FRAME)
    return np.pad(hann, (_TRANSFORM - _FRAME) // 2).astype(np.float32)


@cache
def _filters() -> NDArray[np.float32]:
    """Return (257, 64): triangles between neighbours on the mel scale 2595 log10(1 + f / 700)."""
    top = 2595.0 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    corners = 700.0 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595.0) - 1)  # Hz
    widths = np.diff(corners)
    frequencies = np.linspace(0, SAMPLE_RATE / 2, _TRANSFORM // 2 + 1)
    above = (frequencies[:, None] - corners[:-2]) / widths[:-1]
    below = (corners[2:] - frequencies[:, None]) / widths[1:]
    return np.maximum(0, np.minimum(above, below)).astype(np.float32)


def _statistics(mels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (..., 128) of (..., frames, 64)."""
    return np.concatenate([mels.mean(axis=-2), mels.std(axis=-2)], axis=-1)


def _clip_vector(mels: Mels) -> NDArray[np.float32]:
    mean, deviation = np.split(_statistics(mels), 2)
    level = (mean - _CENTRE) / -_CENTRE  # silence is -1, an energy of 1 is +1
    return np.concatenate([level, np.maximum(deviation, _MIN_DEVIATION)])
