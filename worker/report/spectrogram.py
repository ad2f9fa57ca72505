"""A log-mel spectrogram as a PNG, and the frequencies along its height. numpy and Pillow only."""

from __future__ import annotations

import io
from functools import cache

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.report.model import SAMPLE_RATE

FFT = 1024
MELS = 96
MAX_COLUMNS = 900
RANGE_DB = 65.0  # from the loudest cell down
QUIETEST_TOP_DB = -45.0  # so that near silence stays dark instead of being blown up
TICKS_HZ = (250, 1000, 4000)


def spectrogram_png(waveform: NDArray[np.float32]) -> bytes:
    """Return a PNG, low frequencies at the bottom, of a mono waveform in [-1, 1] at SAMPLE_RATE.

    MELS pixels high, at most MAX_COLUMNS wide. Raises ValueError where there are no samples.
    """
    if waveform.size == 0:
        raise ValueError("a spectrogram needs at least one sample")
    level = log_mel(waveform)
    top = max(float(level.max()), QUIETEST_TOP_DB)
    shade = np.clip((level - top) / RANGE_DB + 1, 0, 1)
    image = Image.fromarray(np.ascontiguousarray((shade * 255).astype(np.uint8)[::-1])).convert("P")
    image.putpalette(_colours().tobytes())
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def log_mel(waveform: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return mel band levels in dB, (MELS, columns), lowest band first.

    A full-scale sine is about 0 dB. Not finite samples count as silence.
    """
    samples = np.nan_to_num(waveform.astype(np.float64), posinf=0.0, neginf=0.0)
    padded = np.pad(samples, (0, max(0, FFT - samples.size)))
    hop = max(FFT // 8, -(-padded.size // MAX_COLUMNS))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::hop]
    window = np.hanning(FFT)
    power = np.abs(np.fft.rfft(frames * window, axis=1) * 2 / window.sum()) ** 2
    level: NDArray[np.float64] = 10 * np.log10(_filters() @ power.T + 1e-12)
    return level


def mel_position(hertz: float) -> float:
    """Return where a frequency lies on the height of the picture: 0 bottom, 1 top.

    >>> mel_position(0), mel_position(8000)
    (0.0, 1.0)
    """
    return float(_mel(hertz) / _mel(SAMPLE_RATE / 2))


def _mel(hertz: float) -> float:
    """HTK's mel scale."""
    return float(2595 * np.log10(1 + hertz / 700))


@cache
def _filters() -> NDArray[np.float64]:
    """Triangles with a peak of 1, evenly spaced in mel: (MELS, FFT / 2 + 1)."""
    edges = 700 * (10 ** (np.linspace(0, _mel(SAMPLE_RATE / 2), MELS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(FFT, 1 / SAMPLE_RATE)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    triangles = np.clip(np.minimum(rising, falling), 0, None)
    nearest = np.abs(bins - edges[1:-1, None]).argmin(axis=1)
    triangles[np.arange(MELS), nearest] = np.maximum(triangles[np.arange(MELS), nearest], 0.5)
    return triangles


@cache
def _colours() -> NDArray[np.uint8]:
    """256 colours whose lightness rises evenly, so the picture also reads in greyscale."""
    table = mpl.colormaps["magma"](np.arange(256), bytes=True)
    return np.asarray(table, dtype=np.uint8)[:, :3]
