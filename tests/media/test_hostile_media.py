"""Arbitrary and damaged bytes end in InvalidEventError or in a proper value, in bounded time."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.media.builders import FLAC, JPEG, JSON, OGG, PLAIN, PNG, WAV, WEBP, image, l16, sound
from worker.core.envelope import CONTENT_TYPES
from worker.core.events import ContentType, Event, Modality, Record
from worker.errors import InvalidEventError
from worker.media.decode import check, decode
from worker.media.images import Picture, decode_image
from worker.media.limits import Limits

LIMITS = Limits(max_pixels=1_000_000, max_audio_seconds=2.0)
BOUNDED = settings(max_examples=150, deadline=timedelta(seconds=2))

VALID = [
    (Modality.FRAME, JPEG, image("JPEG")),
    (Modality.FRAME, PNG, image("PNG")),
    (Modality.FRAME, PNG, image("PNG", mode="P")),
    (Modality.FRAME, WEBP, image("WEBP")),
    (Modality.AUDIO, WAV, sound("WAV", "PCM_16")),
    (Modality.AUDIO, WAV, sound("WAV", "FLOAT")),
    (Modality.AUDIO, FLAC, sound("FLAC", "PCM_16")),
    (Modality.AUDIO, OGG, sound("OGG", "VORBIS")),
    (Modality.AUDIO, OGG, sound("OGG", "OPUS")),
    (Modality.AUDIO, l16(), bytes(1_000)),
    (Modality.CAPTION, PLAIN, b"A man runs."),
    (Modality.CAPTION, JSON, b'{"text": "A man runs."}'),
]
MEDIA = pytest.mark.parametrize(("modality", "content_type", "payload"), VALID)


def event(modality: Modality, content_type: ContentType, payload: bytes) -> Event:
    record = Record("topic", 0, 0, 0, b"/cameras/a", payload)
    return Event("/cameras/a", modality, "1", 0, content_type, record)


def check_and_decode(modality: Modality, content_type: ContentType, payload: bytes) -> None:
    """Whatever the check refuses, the decoder must refuse too; what it returns must be proper."""
    refused = False
    try:
        check(event(modality, content_type, payload), LIMITS)
    except InvalidEventError:
        refused = True
    try:
        media = decode(event(modality, content_type, payload), LIMITS)
    except InvalidEventError:
        return
    assert not refused
    if isinstance(media, str):
        assert media and "\x00" not in media
    elif isinstance(media, Picture):
        grey, colours = media.grey, decode_image(payload, content_type, LIMITS)
        assert grey.dtype == colours.dtype == np.uint8
        assert (*grey.shape, 3) == colours.shape
    else:
        assert media.dtype == np.float32
        assert media.ndim == 1 and len(media)
        assert np.abs(media).max() <= 1.0


@MEDIA
def test_the_valid_media_decode(
    modality: Modality, content_type: ContentType, payload: bytes
) -> None:
    check(event(modality, content_type, payload), LIMITS)
    assert decode(event(modality, content_type, payload), LIMITS) is not None
    assert content_type.name in CONTENT_TYPES[modality]


@MEDIA
@given(data=st.data())
@BOUNDED
def test_arbitrary_bytes_are_refused_or_decoded(
    modality: Modality, content_type: ContentType, payload: bytes, data: st.DataObject
) -> None:
    kept = data.draw(st.integers(0, min(40, len(payload))))
    check_and_decode(modality, content_type, payload[:kept] + data.draw(st.binary(max_size=200)))


@MEDIA
@given(data=st.data())
@BOUNDED
def test_damaged_media_are_refused_or_decoded(
    modality: Modality, content_type: ContentType, payload: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(payload)
    near = st.integers(0, min(63, len(payload) - 1))  # headers matter most
    for place in data.draw(st.lists(st.one_of(near, st.integers(0, len(payload) - 1)), max_size=8)):
        damaged[place] = data.draw(st.integers(0, 255))
    end = data.draw(st.one_of(st.just(len(payload)), st.integers(0, len(payload))))
    check_and_decode(modality, content_type, bytes(damaged[:end]))
