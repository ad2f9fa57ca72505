"""Clips as networks for sound want them."""

from __future__ import annotations

import numpy as np
import soxr

from worker.models.logmel import SAMPLE_RATE
from worker.models.network_encoders import Waveform

MIN_SAMPLES = 400  # at 16 kHz: below 25 ms the convolutions of wav2vec 2.0 have no output


def padded(clip: Waveform, least: int = MIN_SAMPLES) -> Waveform:
    """Return the clip with silence behind it, if it is shorter than `least` samples."""
    return np.pad(clip, (0, max(0, least - len(clip)))).astype(np.float32, copy=False)


def at_rate(clip: Waveform, rate: int) -> Waveform:
    """Return the clip (16 kHz) at another rate in Hz, at least one sample of it."""
    if rate == SAMPLE_RATE:
        return clip
    resampled: Waveform = soxr.resample(clip, SAMPLE_RATE, rate)
    return resampled if len(resampled) else clip[:1]
