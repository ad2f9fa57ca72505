"""Builders of small media files."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from worker.core.events import Modality
from worker.feed.events import FeedEvent

SECOND = 1_000_000  # microseconds
START = 1_700_000_000 * SECOND


def write_video(
    path: Path,
    shades: Sequence[int],
    *,
    fps: int = 10,
    size: tuple[int, int] = (64, 48),
    rotation: int = 0,
    tone_seconds: float = 0,
) -> Path:
    """Write one plain picture per shade (its upper left quarter is white), and a tone if asked."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=fps, width=size[0], height=size[1])
        video.pix_fmt = "yuv420p"
        if rotation:
            video.set_display_rotation(rotation)
        sound = container.add_stream("aac", rate=16_000, layout="mono") if tone_seconds else None
        for shade in shades:
            _mux(container, video, av.VideoFrame.from_ndarray(_picture(size, shade), "rgb24"))
        _mux(container, video, None)
        if sound is not None:
            wave = av.AudioFrame.from_ndarray(tone(tone_seconds)[None], "fltp", "mono")
            wave.sample_rate = 16_000
            for frame in (wave, None):
                _mux(container, sound, frame)
    return path


def write_recording_with_gap(path: Path, before_s: int, gap_s: int, after_s: int) -> Path:
    """Write a constant 0.25, 48 kHz stereo, whose timestamps jump over the gap."""
    rate = 48_000
    begins = [*range(before_s), *range(before_s + gap_s, before_s + gap_s + after_s)]
    samples = np.full((1, 2 * rate), 8192, np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=rate, layout="stereo")
        for begin in begins:
            frame = av.AudioFrame.from_ndarray(samples, "s16", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = rate, begin * rate, Fraction(1, rate)
            _mux(container, stream, frame)
        _mux(container, stream, None)
    return path


def write_sound(path: Path, seconds: float, *, rate: int = 16_000, channels: int = 1) -> Path:
    """Write a tone of 440 Hz with amplitude 0.5, the same on all channels."""
    samples = np.repeat(tone(seconds, rate)[:, None], channels, axis=1)
    soundfile.write(path, samples, rate)
    return path


def tone(seconds: float, rate: int = 16_000) -> NDArray[np.float32]:
    """Return a sine of 440 Hz with amplitude 0.5."""
    times = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)


def event(
    time: int = START,
    *,
    source: str = "/cameras/gate",
    modality: Modality = Modality.CAPTION,
    correlation_id: str | None = None,
) -> FeedEvent:
    """Return an event with some text."""
    return FeedEvent(
        source=source,
        modality=modality,
        id="some-id",
        time=time,
        content_type="text/plain; charset=utf-8",
        payload=b"A dog.",
        correlation_id=correlation_id,
    )


def _picture(size: tuple[int, int], shade: int) -> NDArray[np.uint8]:
    width, height = size
    picture = np.full((height, width, 3), shade, np.uint8)
    picture[: height // 2, : width // 2] = 255
    return picture


def _mux(container: Any, stream: Any, frame: Any) -> None:
    for packet in stream.encode(frame):
        container.mux(packet)
