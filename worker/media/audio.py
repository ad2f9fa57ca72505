"""WAV, FLAC, Ogg and raw L16 to mono samples at 16 kHz, from memory and in bounded memory."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from worker.core.events import ContentType
from worker.errors import InvalidEventError, Reason
from worker.media.limits import Limits
from worker.media.ogg import check_pages
from worker.media.wav import checked_wav

Samples = NDArray[np.float32]

SAMPLE_RATE = 16_000  # Hz, of what is returned
MIN_RATE, MAX_RATE = 4_000, 192_000  # Hz, of what is accepted
MAX_CHANNELS = 8

_CONTAINERS = {
    "audio/wav": (
        "WAV",
        {"PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"},
    ),
    "audio/flac": ("FLAC", {"PCM_S8", "PCM_16", "PCM_24"}),
    "audio/ogg": ("OGG", {"VORBIS", "OPUS"}),
}
_UNKNOWN_FRAMES = 1 << 62  # what libsndfile says of a FLAC stream without a length is above this
_BLOCK = 65_536  # frames decoded at a time


@dataclass(frozen=True, slots=True)
class AudioHeader:
    """What the header says; `frames` (samples per channel) is None where it does not tell."""

    rate: int
    channels: int
    frames: int | None


class _Forward(soundfile.SoundFile):  # type: ignore[misc] # the library has no types
    """Reads onwards only: the library's seek after each read fails on streams without a length."""

    def seekable(self) -> bool:
        return False


def check_audio(payload: bytes, content_type: ContentType, limits: Limits) -> AudioHeader:
    """Return what the header says, without decoding.

    Raises InvalidEventError: UNDECODABLE_AUDIO for another or broken container, a codec, rate
    (4 to 192 kHz) or channel count (1 to 8) that is not accepted, no samples, or a WAV that
    claims more bytes than there are; AUDIO_TOO_LONG above `limits.max_audio_seconds`.
    """
    if content_type.name == "audio/l16":
        header = _l16_header(payload, content_type)
    else:
        with _opened(payload, content_type) as file:
            header = _header(file)
    return _bounded(header, limits)


def decode_audio(payload: bytes, content_type: ContentType, limits: Limits) -> Samples:
    """Return mono float32 (N,), N >= 1, at 16 kHz within [-1, 1].

    Channels are averaged; samples beyond full scale are clipped. Raises InvalidEventError as
    `check_audio` does, and UNDECODABLE_AUDIO where samples are missing or are not numbers.
    """
    if content_type.name == "audio/l16":
        header = _bounded(_l16_header(payload, content_type), limits)
        frames = np.frombuffer(payload, ">i2").reshape(-1, header.channels)
        mono = frames.mean(axis=1, dtype=np.float32) / np.float32(32_768)
    else:
        with _opened(payload, content_type) as file:
            header = _bounded(_header(file), limits)
            mono = _mono(file, header, limits)
    return np.clip(_resampled(mono, header.rate), -1.0, 1.0)


def _resampled(samples: Samples, rate: int) -> Samples:
    """Return the samples at SAMPLE_RATE, at least one however short the clip is."""
    resampled: Samples = soxr.resample(samples, rate, SAMPLE_RATE)
    return resampled if len(resampled) else samples[:1]


def _l16_header(payload: bytes, content_type: ContentType) -> AudioHeader:
    """RFC 2586: 16-bit big-endian; the rate is required, channels default to one."""
    rate = _number(content_type.parameter("rate", ""))
    channels = _number(content_type.parameter("channels", "1"))
    if not channels or len(payload) % (2 * channels):
        raise _undecodable("the payload is not a whole number of L16 frames")
    return AudioHeader(rate, channels, len(payload) // (2 * channels))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise _undecodable("audio/L16 needs ;rate= (in Hz) and whole numbers for its parameters")
    return int(text)


def _opened(payload: bytes, content_type: ContentType) -> soundfile.SoundFile:
    container, codecs = _CONTAINERS[content_type.name]
    if container == "WAV":
        payload = checked_wav(payload)
    if container == "OGG":
        check_pages(payload)
    try:
        file = _Forward(io.BytesIO(payload))
    except Exception:  # hostile bytes: whatever the library says, it is not such a file
        raise _undecodable(f"the payload is not {content_type.name}") from None
    if (file.format, file.subtype in codecs) not in {(container, True), (f"{container}EX", True)}:
        file.close()
        raise _undecodable(f"the payload is not {content_type.name} of a codec that is accepted")
    return file


def _header(file: soundfile.SoundFile) -> AudioHeader:
    frames = None if file.frames > _UNKNOWN_FRAMES else file.frames
    return AudioHeader(file.samplerate, file.channels, frames)


def _bounded(header: AudioHeader, limits: Limits) -> AudioHeader:
    if not MIN_RATE <= header.rate <= MAX_RATE:
        raise _undecodable(f"{header.rate} Hz is not within {MIN_RATE} and {MAX_RATE}")
    if not 1 <= header.channels <= MAX_CHANNELS:
        raise _undecodable(f"{header.channels} channels are not within 1 and {MAX_CHANNELS}")
    if header.frames == 0:
        raise _undecodable("the audio has no samples")
    if header.frames is not None and header.frames > _most_frames(header, limits):
        raise _too_long(limits)
    return header


def _most_frames(header: AudioHeader, limits: Limits) -> int:
    return math.floor(limits.max_audio_seconds * header.rate)


def _mono(file: soundfile.SoundFile, header: AudioHeader, limits: Limits) -> Samples:
    """Decode to the end, block by block, so that only one channel is ever held whole."""
    most = _most_frames(header, limits)
    blocks: list[Samples] = []
    count = 0
    for block in _blocks(file):
        count += len(block)
        if count > most:
            raise _too_long(limits)
        blocks.append(block)
    if not count or count < (header.frames or 0):
        raise _undecodable(f"the audio ends after {count} of {header.frames} samples")
    return np.concatenate(blocks)


def _blocks(file: soundfile.SoundFile) -> Iterator[Samples]:
    while True:
        try:
            block = file.read(_BLOCK, dtype="float32", always_2d=True)
        except Exception:  # hostile bytes: whatever the library says, the samples are broken
            raise _undecodable("the audio's samples are broken") from None
        if not len(block):
            return
        yield _full_scale(block).mean(axis=1, dtype=np.float32)


def _full_scale(block: Samples) -> Samples:
    """Refuse what is not a number and clip, before any arithmetic could overflow."""
    if not np.isfinite(block).all():
        raise _undecodable("the audio has samples that are not numbers")
    return np.clip(block, -1.0, 1.0)


def _undecodable(message: str) -> InvalidEventError:
    return InvalidEventError(Reason.UNDECODABLE_AUDIO, message)


def _too_long(limits: Limits) -> InvalidEventError:
    message = f"the audio is longer than {limits.max_audio_seconds:g} s"
    return InvalidEventError(Reason.AUDIO_TOO_LONG, message)
