"""Pictures and sounds as small `data:` URIs for a page that needs no network."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from worker.report.model import SAMPLE_RATE

MAX_WIDTH = 640  # pixels of a picture
MAX_HEIGHT = 480
MAX_PIXELS = 50_000_000  # of the original; the pipeline has already refused larger ones
JPEG_QUALITY = 78
MAX_SOUND_SECONDS = 6


@dataclass(frozen=True, slots=True)
class Picture:
    """An embedded picture and its size in pixels."""

    uri: str
    width: int
    height: int


def data_uri(media_type: str, content: bytes) -> str:
    """Return the content as a URI.

    >>> data_uri("image/png", b"abc")
    'data:image/png;base64,YWJj'
    """
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def picture(content: bytes | None) -> Picture | None:
    """Return the image as a JPEG of at most MAX_WIDTH x MAX_HEIGHT, without metadata.

    None where there is none or it cannot be decoded.
    """
    if content is None:
        return None
    try:
        return _reduced(content)
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _reduced(content: bytes) -> Picture | None:
    with Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "WEBP")) as image:
        if image.width * image.height > MAX_PIXELS:
            return None
        image.draft("RGB", (MAX_WIDTH, MAX_HEIGHT))
        small = image.convert("RGB")
    small.thumbnail((MAX_WIDTH, MAX_HEIGHT))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return Picture(data_uri("image/jpeg", out.getvalue()), small.width, small.height)


def audible(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what the page plays: at most MAX_SOUND_SECONDS from the start."""
    return waveform[: MAX_SOUND_SECONDS * SAMPLE_RATE]


def flac(waveform: NDArray[np.float32]) -> bytes:
    """Return the mono waveform as 16-bit FLAC, which every current browser plays.

    Samples outside [-1, 1] are clipped; not finite ones are silent.
    """
    samples = np.clip(np.nan_to_num(waveform, posinf=0.0, neginf=0.0), -1, 1)
    out = io.BytesIO()
    soundfile.write(out, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return out.getvalue()
