"""Audio of any file (also the track of a video file) as clips of equal length, one at a time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from worker.core.rfc3339 import MICROSECONDS
from worker.errors import OperatorError
from worker.feed.track import Track, open_track

Waveform = NDArray[np.float32]  # samples of one channel in [-1, 1] at RATE
RATE = 16_000  # Hz; what the audio encoders take
_GAP = RATE // 10  # samples; a smaller step of the timestamps is rounding of the container


def clips(path: Path, clip_seconds: float = 1.0) -> Iterator[tuple[int, bytes]]:
    """Yield (offset in microseconds, FLAC: 16 bit, mono, 16 kHz) per clip; errors as `decode`."""
    for offset, samples in decode(path, clip_seconds):
        yield offset, encode_flac(samples)


def decode(path: Path, clip_seconds: float = 1.0) -> Iterator[tuple[int, Waveform]]:
    """Yield (offset in microseconds, samples) of clips that follow each other without overlap.

    The last clip, and one that ends at a gap of the recording, may be shorter. Raises OperatorError
    where `clip_seconds` is not at least one sample or the file cannot be read as audio.
    """
    size = round(clip_seconds * RATE)
    if size < 1:
        raise OperatorError(f"Clips of {clip_seconds} s are not possible; give a length above 0.")
    with open_track(path, "audio") as track:
        for position, samples in _joined(_blocks(track), size):
            yield position * MICROSECONDS // RATE, samples


def encode_flac(samples: Waveform) -> bytes:
    """Return the samples as FLAC (16 bit, mono, 16 kHz); values outside [-1, 1] are clipped."""
    target = io.BytesIO()
    soundfile.write(target, samples, RATE, format="FLAC", subtype="PCM_16")
    return target.getvalue()


def _blocks(track: Track) -> Iterator[tuple[int, Waveform]]:
    """Yield (position in samples at RATE, samples) as the decoder makes them."""
    origin = track.origin * RATE // MICROSECONDS
    expected = 0
    for frame in _resampled(track.decode()):
        position = expected
        if frame.pts is not None:
            position = max(0, round(frame.pts * frame.time_base * RATE) - origin)
        samples = frame.to_ndarray().mean(axis=0)  # channels x samples
        yield position, samples
        expected = position + len(samples)


def _resampled(frames: Iterator[Any]) -> Iterator[Any]:
    """Bring to RATE; a resampler serves one input format, and that may change on the way."""
    for _, run in groupby(frames, key=lambda f: (f.format.name, f.layout.name, f.sample_rate)):
        resampler = av.AudioResampler(format="fltp", rate=RATE)
        for frame in run:
            yield from resampler.resample(frame)
        yield from resampler.resample(None)


def _joined(blocks: Iterator[tuple[int, Waveform]], size: int) -> Iterator[tuple[int, Waveform]]:
    begin, held = 0, np.empty(0, np.float32)
    for position, samples in blocks:
        if position - (begin + len(held)) > _GAP:
            if len(held):
                yield begin, held
            begin, held = position, np.empty(0, np.float32)
        held = np.concatenate([held, samples])
        while len(held) >= size:
            yield begin, held[:size]
            begin, held = begin + size, held[size:]
    if len(held):
        yield begin, held
