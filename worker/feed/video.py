"""Frames of a video file, one at a time: memory does not grow with the length of the file."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from worker.core.rfc3339 import MICROSECONDS
from worker.errors import OperatorError
from worker.feed.track import Track, open_track

Image = NDArray[np.uint8]  # height x width x 3, RGB
Crop = tuple[int, int, int, int]  # x, y, width, height in pixels
JPEG_QUALITY = 90


def frames(
    path: Path, fps: float | None = None, crop: Crop | None = None
) -> Iterator[tuple[int, bytes]]:
    """Yield (offset in microseconds, JPEG) of each frame; `crop` cuts a part out of each.

    `fps` and errors as for `decode`; also OperatorError where the crop leaves the picture.
    """
    for offset, image in decode(path, fps):
        yield offset, encode_jpeg(image if crop is None else cut(image, crop))


def decode(path: Path, fps: float | None = None) -> Iterator[tuple[int, Image]]:
    """Yield (offset in microseconds, picture), no more than `fps` per second (default: all).

    Offsets rise strictly; a frame whose timestamp goes back is left out. Pictures are turned
    upright. Raises OperatorError where `fps` is not above 0 or the file cannot be read as video.
    """
    if fps is not None and not fps > 0:
        raise OperatorError(f"A frame rate of {fps} is not possible; give one above 0.")
    with open_track(path, "video") as track:
        for offset, frame in _limited(_timed(track), fps, track.stream.average_rate):
            upright = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
            yield offset, np.ascontiguousarray(upright)


def cut(image: Image, crop: Crop) -> Image:
    """Return a view of the crop. Raises OperatorError where it leaves the picture or is empty."""
    x, y, width, height = crop
    rows, columns = image.shape[:2]
    inside = 0 <= x < x + width <= columns and 0 <= y < y + height <= rows
    if not inside:
        raise OperatorError(
            f"The crop {crop} (x, y, width, height) is not inside the picture, {columns} x {rows}."
        )
    return image[y : y + height, x : x + width]


def encode_jpeg(image: Image) -> bytes:
    """Return the picture as JPEG of quality 90 with 4:2:0 chroma, as cameras send it."""
    encoded = simplejpeg.encode_jpeg(
        image, quality=JPEG_QUALITY, colorspace="RGB", colorsubsampling="420"
    )
    return bytes(encoded)


def _timed(track: Track) -> Iterator[tuple[int, Any]]:
    last = -1
    for number, frame in enumerate(track.decode()):
        offset = _offset(track, frame, number)
        if offset > last:
            last = offset
            yield offset, frame


def _offset(track: Track, frame: Any, number: int) -> int:
    if frame.pts is None:  # a stream without timestamps runs at its nominal rate
        return round(number * MICROSECONDS / (track.stream.average_rate or 25))
    micros: int = round(frame.pts * frame.time_base * MICROSECONDS)
    return max(0, micros - track.origin)


def _limited(
    timed: Iterator[tuple[int, Any]], fps: float | None, file_rate: Fraction | None
) -> Iterator[tuple[int, Any]]:
    """Keep the first frame of each slot of 1 / `fps` seconds.

    Slots begin half a frame of the file early: the container may have rounded the timestamps.
    """
    if fps is None:
        yield from timed
        return
    early = min(0.5, fps / (2 * file_rate)) if file_rate else 0.0
    last = -1
    for offset, frame in timed:
        slot = int(offset * fps / MICROSECONDS + early)
        if slot > last:
            last = slot
            yield offset, frame
