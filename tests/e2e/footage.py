"""Small streams of a made-up camera: moving shades, a tone, now and then a sentence."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from itertools import groupby

import numpy as np
from PIL import Image

from worker.core import rfc3339
from worker.core.events import Modality
from worker.core.ports import Output
from worker.feed.events import JPEG, PLAIN_TEXT, FeedEvent, Piece, to_event

SECOND = rfc3339.MICROSECONDS
L16 = "audio/L16;rate=16000;channels=1"
SENTENCES = ("A bicycle stands at a wall.", "Nobody is here.", "Two people walk by.")


def camera(source: str, start: int, seconds: int) -> list[FeedEvent]:
    """Return two frames and a clip of sound per second, and a caption every other second."""
    return [event for number in range(seconds) for event in _second(source, start, number)]


def by_second(events: Sequence[FeedEvent]) -> list[list[FeedEvent]]:
    """Group events of any sources by the second in which they happened."""
    ordered = sorted(events, key=lambda event: event.time)
    return [list(group) for _, group in groupby(ordered, lambda event: event.time // SECOND)]


def long_ago(now: int, seconds: int) -> int:
    """Return a time on the edge of a second."""
    return (now // SECOND - seconds) * SECOND


@cache
def picture(number: int) -> bytes:
    """Return a JPEG of 64 x 48."""
    columns = np.linspace(0, 180, 64, dtype=np.uint8)[None, :, None]
    pixels = np.broadcast_to(columns, (48, 64, 3)).copy()
    place = number % 50
    pixels[10:30, place : place + 12] = (40 + number % 7, 200, 90)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


@cache
def sound(number: int) -> bytes:
    """Return a second of L16: a tone in a little noise."""
    times = np.arange(16_000) / 16_000
    tone = 3000 * np.sin(2 * np.pi * (300 + 10 * (number % 5)) * times)
    noise = np.random.default_rng(number).normal(0, 100, 16_000)
    return (tone + noise).astype(">i2").tobytes()


def ids_of(outputs: Sequence[Output]) -> list[str]:
    """Return the event ids that records carry."""
    return [(dict(output.headers)["ce_id"] or b"").decode() for output in outputs]


def _second(source: str, start: int, number: int) -> list[FeedEvent]:
    begin = number * SECOND
    pieces = [
        (Modality.AUDIO, number, Piece(begin, L16, sound(number))),
        (Modality.FRAME, 2 * number, _frame(begin, 2 * number)),
        (Modality.FRAME, 2 * number + 1, _frame(begin + SECOND // 2, 2 * number + 1)),
    ]
    if number % 2 == 0:
        text = SENTENCES[number // 2 % len(SENTENCES)].encode()
        piece = Piece(begin + SECOND // 4, PLAIN_TEXT, text)
        pieces.append((Modality.CAPTION, number, piece))
    return [
        to_event(piece, source=source, modality=modality, start=start, number=count)
        for modality, count, piece in pieces
    ]


def _frame(offset: int, number: int) -> Piece:
    return Piece(offset, JPEG, picture(number))
