"""Small valid media, made in memory."""

from __future__ import annotations

import io

import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image

from worker.core.events import ContentType

JPEG, PNG, WEBP = (ContentType(f"image/{name}") for name in ("jpeg", "png", "webp"))
WAV, FLAC, OGG = (ContentType(f"audio/{name}") for name in ("wav", "flac", "ogg"))
PLAIN, JSON = ContentType("text/plain"), ContentType("application/json")


def l16(rate: str = "16000", channels: str = "1") -> ContentType:
    return ContentType("audio/l16", (("rate", rate), ("channels", channels)))


def gradient(width: int, height: int) -> NDArray[np.uint8]:
    """A picture that is darker on the left, with a green top and a red bottom."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 2] = np.linspace(0, 255, width)
    picture[: height // 2, :, 1] = 200
    picture[height // 2 :, :, 0] = 200
    return picture


def image(form: str, width: int = 64, height: int = 48, mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(gradient(width, height)).convert(mode).save(stream, form)
    return stream.getvalue()


def tone(seconds: float = 0.5, rate: int = 16_000, hertz: float = 440.0) -> NDArray[np.float32]:
    time = np.arange(int(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def sound(
    form: str, codec: str, samples: NDArray[np.floating] | None = None, rate: int = 16_000
) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, tone() if samples is None else samples, rate, codec, format=form)
    return stream.getvalue()
