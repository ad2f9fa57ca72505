"""Captions: plain text or a small JSON object."""

from __future__ import annotations

import json
import unicodedata

from worker.core.events import ContentType
from worker.errors import InvalidEventError, Reason
from worker.media.limits import Limits

_CHARSETS = {"utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "ascii"}
_BYTE_ORDER_MARK = "\ufeff"


def check_text(payload: bytes, content_type: ContentType, limits: Limits) -> None:
    """Check size and charset. Raises InvalidEventError: TEXT_TOO_LONG, UNDECODABLE_TEXT."""
    if len(payload) > limits.max_text_bytes:
        message = f"the text has {len(payload)} bytes, more than {limits.max_text_bytes}"
        raise InvalidEventError(Reason.TEXT_TOO_LONG, message)
    if content_type.parameter("charset", "utf-8") not in _CHARSETS:
        raise _undecodable("the charset is not utf-8 or us-ascii")


def decode_text(payload: bytes, content_type: ContentType, limits: Limits) -> str:
    """Return the text, trimmed, with one space for each control character; never empty.

    `text/plain` is the text itself, `application/json` is `{"text": "..."}` (other members are
    ignored). Raises InvalidEventError as `check_text` does, and UNDECODABLE_TEXT.
    """
    check_text(payload, content_type, limits)
    charset = _CHARSETS[content_type.parameter("charset", "utf-8")]
    try:
        text = payload.decode(charset).removeprefix(_BYTE_ORDER_MARK)
    except UnicodeDecodeError:
        raise _undecodable(f"the text is not {charset}") from None
    if content_type.name == "application/json":
        text = _member(text)
    text = _printable(text)
    if not text:
        raise _undecodable("the text is empty")
    return text


def _member(document: str) -> str:
    try:
        value = json.loads(document)
    except (ValueError, RecursionError):
        raise _undecodable("the payload is not JSON") from None
    text = value.get("text") if isinstance(value, dict) else None
    if not isinstance(text, str):
        raise _undecodable('the JSON is not an object with a string "text"')
    return text


def _printable(text: str) -> str:
    """Replace control characters and lone surrogates (which JSON escapes can smuggle in)."""
    kept = (" " if unicodedata.category(char) in ("Cc", "Cs") else char for char in text)
    return "".join(kept).strip()


def _undecodable(message: str) -> InvalidEventError:
    return InvalidEventError(Reason.UNDECODABLE_TEXT, message)
