from __future__ import annotations

import pytest

from tests.media.builders import JSON, PLAIN
from worker.core.events import ContentType
from worker.errors import InvalidEventError, Reason
from worker.media.limits import Limits
from worker.media.text import check_text, decode_text

LIMITS = Limits()


def charset(name: str) -> ContentType:
    return ContentType("text/plain", (("charset", name),))


@pytest.mark.parametrize(
    ("payload", "content_type", "text"),
    [
        ("Ein Mann läuft.".encode(), PLAIN, "Ein Mann läuft."),
        (b"A man runs.", charset("us-ascii"), "A man runs."),
        (b"A man runs.", charset("utf-8"), "A man runs."),
        (b"\xef\xbb\xbfA man runs.\n", PLAIN, "A man runs."),
        (b"a\x00b\x1bc\r\nd", PLAIN, "a b c  d"),
        (b'{"text": "A man runs.", "by": "captioner"}', JSON, "A man runs."),
        (b'{"text": "\\ud83d\\ude00 \\ud800x"}', JSON, "\U0001f600  x"),
    ],
)
def test_a_caption_is_read(payload: bytes, content_type: ContentType, text: str) -> None:
    assert decode_text(payload, content_type, LIMITS) == text


@pytest.mark.parametrize(
    ("payload", "content_type"),
    [
        (b"\xff\xfe", PLAIN),
        ("läuft".encode(), charset("us-ascii")),
        (b"A man runs.", charset("utf-16")),
        (b"A man runs.", charset("rot13")),
        (b" \n\x00", PLAIN),
        (b"", PLAIN),
        (b"not json", JSON),
        (b"[" * 10_000, JSON),
        (b'["text"]', JSON),
        (b'{"caption": "A man runs."}', JSON),
        (b'{"text": 5}', JSON),
        (b'{"text": null}', JSON),
        (b'{"text": ""}', JSON),
        (b'{"text": ' + b"9" * 5_000 + b"}", JSON),
    ],
)
def test_what_is_no_caption_is_undecodable(payload: bytes, content_type: ContentType) -> None:
    with pytest.raises(InvalidEventError) as caught:
        decode_text(payload, content_type, LIMITS)
    assert caught.value.reason is Reason.UNDECODABLE_TEXT


def test_the_limit_counts_bytes_and_is_itself_accepted() -> None:
    limits = Limits(max_text_bytes=4)
    assert decode_text("ää".encode(), PLAIN, limits) == "ää"
    for entry in (check_text, decode_text):
        with pytest.raises(InvalidEventError) as caught:
            entry("äää".encode(), PLAIN, limits)
        assert caught.value.reason is Reason.TEXT_TOO_LONG
