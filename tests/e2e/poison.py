"""Records that the worker must not accept, each with the reason that it has to give."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import soundfile

from tests.e2e.footage import L16, SECOND, picture, sound
from worker.core import rfc3339
from worker.core.events import Modality
from worker.core.partitioner import partition_for
from worker.core.ports import Output
from worker.errors import Reason
from worker.feed.events import PLAIN_TEXT

CASE = "x-case"  # a header of the sender's own, by which a record is known again
REQUIRED = ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type")
TEN_MB = 10_000_000

Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True)
class Poison:
    """A record and why it is refused."""

    name: str
    reason: Reason
    output: Output


@dataclass(frozen=True)
class Maker:
    """Makes records of one source; `topics` by modality, `partitions` of each of them."""

    source: str
    topics: dict[str, str]
    partitions: int

    def record(
        self, name: str, time: int, modality: Modality, content_type: str, value: bytes | None
    ) -> Output:
        """Return a record with a complete envelope, on the partition of its source."""
        headers = {
            CASE: name,
            "ce_specversion": "1.0",
            "ce_id": name,
            "ce_source": self.source,
            "ce_type": f"multimodal.{modality}.v1",
            "ce_time": rfc3339.format(time),
            "content-type": content_type,
        }
        return Output(
            topic=self.topics[modality],
            key=self.source.encode(),
            value=value,
            headers=tuple((header, text.encode()) for header, text in headers.items()),
            partition=self.partition,
        )

    @property
    def partition(self) -> int:
        """Where the source belongs."""
        return partition_for(self.source.encode(), self.partitions, "murmur2")

    def poisons(self, times: Iterator[int]) -> list[Poison]:
        """Return one record of each kind, each at the next of the times."""
        return [self._made(*kind, next(times)) for kind in (*envelopes(), *media())]

    def _made(
        self, name: str, reason: Reason, base: Base, change: Callable[[Output], Output], time: int
    ) -> Poison:
        output = self.record(name, time, *base)
        if name == "wrong partition":
            output = replace(output, partition=1 - self.partition)
        if name == "caption in the frames":
            output = replace(output, topic=self.topics["frame"])
        return Poison(name, reason, change(output))


Base = tuple[Modality, str, bytes | None]
Kind = tuple[str, Reason, Base, Callable[[Output], Output]]

_FRAME: Base = (Modality.FRAME, "image/jpeg", picture(0))
_CAPTION: Base = (Modality.CAPTION, PLAIN_TEXT, b"A dog.")
_AUDIO: Base = (Modality.AUDIO, L16, sound(0))


def envelopes() -> Iterator[Kind]:
    """Yield what is wrong around the media."""
    yield "null value", Reason.NULL_VALUE, _FRAME, lambda o: replace(o, value=None)
    yield "empty value", Reason.EMPTY_VALUE, _AUDIO, lambda o: replace(o, value=b"")
    yield "10 MB", Reason.TOO_LARGE, _FRAME, lambda o: replace(o, value=bytes(TEN_MB))
    many = tuple((f"x-{number}", b"1") for number in range(1000))
    yield "1000 headers", Reason.TOO_MANY_HEADERS, _CAPTION, _adds(*many)
    large = ("x-large", bytes(33 * 1024))
    yield "33 KiB of headers", Reason.HEADERS_TOO_LARGE, _AUDIO, _adds(large)
    for header in REQUIRED:
        yield f"no {header}", Reason.MISSING_HEADER, _FRAME, _without(header)
    for header in ("ce_id", "ce_source", "ce_time"):
        not_utf8 = _with(header, b"caf\xe9")
        yield f"{header} not UTF-8", Reason.MALFORMED_HEADER, _CAPTION, not_utf8
        yield f"{header} controls", Reason.MALFORMED_HEADER, _FRAME, _with(header, b"a\x1b[31m\n")
        yield f"{header} twice", Reason.MALFORMED_HEADER, _AUDIO, _adds((header, b"again"))
    yield "ce_id empty", Reason.MALFORMED_HEADER, _FRAME, _with("ce_id", b"")
    yield "ce_id null", Reason.MALFORMED_HEADER, _FRAME, _with("ce_id", None)
    old = _with("ce_specversion", b"0.3")
    yield "ce_specversion 0.3", Reason.UNSUPPORTED_SPECVERSION, _FRAME, old
    elsewhere = _adds(("ce_dataref", b"s3://bucket/frame.jpg"))
    yield "ce_dataref", Reason.DATAREF_REFUSED, _FRAME, elsewhere
    yield "null key", Reason.NULL_KEY, _CAPTION, lambda o: replace(o, key=None)
    yield "other key", Reason.KEY_MISMATCH, _AUDIO, lambda o: replace(o, key=b"/cameras/other")
    yield "wrong partition", Reason.WRONG_PARTITION, _FRAME, _same
    yield "unknown type", Reason.UNKNOWN_TYPE, _FRAME, _with("ce_type", b"multimodal.smell.v1")
    yield "caption in the frames", Reason.WRONG_TOPIC, _CAPTION, _same
    yield "time in words", Reason.MALFORMED_TIME, _FRAME, _with("ce_time", b"yesterday")
    no_zone = _with("ce_time", b"2026-01-01T12:00:00")
    yield "time without zone", Reason.MALFORMED_TIME, _AUDIO, no_zone
    yield "an hour ahead", Reason.TIME_AHEAD, _FRAME, _ahead
    html = _with("content-type", b"text/html")
    yield "HTML as a caption", Reason.UNSUPPORTED_CONTENT_TYPE, _CAPTION, html
    gif = _with("content-type", b"image/gif")
    yield "GIF as a frame", Reason.UNSUPPORTED_CONTENT_TYPE, _FRAME, gif


def media() -> Iterator[Kind]:
    """Yield sound envelopes around media that are not."""
    jpeg = picture(0)
    for name, reason, modality, content_type, value in (
        ("truncated JPEG", Reason.UNDECODABLE_IMAGE, "frame", "image/jpeg", jpeg[:-200]),
        ("JPEG that is text", Reason.UNDECODABLE_IMAGE, "frame", "image/jpeg", b"not an image"),
        ("JPEG bomb", Reason.IMAGE_TOO_LARGE, "frame", "image/jpeg", jpeg_bomb(jpeg)),
        ("PNG bomb", Reason.IMAGE_TOO_LARGE, "frame", "image/png", png_bomb(20_000)),
        ("WAV that lies", Reason.UNDECODABLE_AUDIO, "audio", "audio/wav", wav(data_size=10**8)),
        ("61 s of WAV", Reason.AUDIO_TOO_LONG, "audio", "audio/wav", wav(seconds=61, rate=4000)),
        ("text not UTF-8", Reason.UNDECODABLE_TEXT, "caption", PLAIN_TEXT, b"caf\xe9"),
        ("JSON, no text", Reason.UNDECODABLE_TEXT, "caption", "application/json", b'{"txt": 1}'),
        ("20 KB of text", Reason.TEXT_TOO_LONG, "caption", PLAIN_TEXT, b"word " * 4000),
    ):
        yield name, reason, (Modality(modality), content_type, value), _same


def jpeg_bomb(jpeg: bytes) -> bytes:
    """Return the JPEG with a header that claims 65500 x 65500 pixels."""
    frame = jpeg.index(b"\xff\xc0")
    bomb = bytearray(jpeg)
    struct.pack_into(">HH", bomb, frame + 5, 65_500, 65_500)
    return bytes(bomb)


def png_bomb(side: int) -> bytes:
    """Return a valid black PNG that is small until it is decoded."""
    rows = zlib.compress(bytes(side * (1 + side // 8)), 1)
    chunks = (b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)), (b"IDAT", rows)
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*each) for each in (*chunks, (b"IEND", b"")))


def wav(*, seconds: float = 1, rate: int = 16_000, data_size: int | None = None) -> bytes:
    """Return quiet 8-bit sound; `data_size` is what its header says instead of the truth."""
    stream = io.BytesIO()
    samples = 0.1 * np.sin(np.arange(int(seconds * rate)) / 9)
    soundfile.write(stream, samples, rate, "PCM_U8", format="WAV")
    content = bytearray(stream.getvalue())
    if data_size is not None:
        struct.pack_into("<I", content, 4, min(data_size + 36, 0xFFFFFFFF) if data_size else 0)
        struct.pack_into("<I", content, content.index(b"data") + 4, data_size)
    return bytes(content)


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def _same(output: Output) -> Output:
    return output


def _with(name: str, value: bytes | None) -> Callable[[Output], Output]:
    def changed(output: Output) -> Output:
        headers: Headers = tuple(
            (header, value if header == name else old) for header, old in output.headers
        )
        return replace(output, headers=headers)

    return changed


def _without(name: str) -> Callable[[Output], Output]:
    return lambda output: replace(
        output, headers=tuple(each for each in output.headers if each[0] != name)
    )


def _adds(*headers: tuple[str, bytes]) -> Callable[[Output], Output]:
    return lambda output: replace(output, headers=(*output.headers, *headers))


def _ahead(output: Output) -> Output:
    sent = rfc3339.parse((dict(output.headers)["ce_time"] or b"").decode())
    return _with("ce_time", rfc3339.format(sent + 3660 * SECOND).encode())(output)
