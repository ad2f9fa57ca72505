"""The headers of a record that is put back into the topic in which it was first read."""

from __future__ import annotations

import re
from typing import Literal

from worker.core.messages.headers import RawHeaders

ATTEMPT = "mmworker.redrive.attempt"
OF = "mmworker.redrive.of"
RedriveOf = Literal["dead-letter", "late"]

# What the worker added when it set the record aside, and what an earlier redrive added.
_OURS = ("mmworker.error.", "mmworker.late.", "mmworker.redrive.")
_ATTEMPT = re.compile(r"[0-9]{1,9}")


def last_header(headers: RawHeaders, name: str) -> str | None:
    """Return the header's last value as text; None where there is none or it is not UTF-8."""
    values = [value for key, value in headers if key == name]
    if not values or values[-1] is None:
        return None
    try:
        return values[-1].decode("utf-8")
    except UnicodeDecodeError:
        return None


def attempts_of(headers: RawHeaders) -> int:
    """Return how often the record was put back; what is no decimal number counts as never."""
    text = last_header(headers, ATTEMPT) or ""
    return int(text) if _ATTEMPT.fullmatch(text) else 0


def redrive_headers(headers: RawHeaders, of: RedriveOf) -> RawHeaders:
    """Return the original headers in their order, and after them attempt (from 1 on) and kind."""
    original = tuple(each for each in headers if not each[0].startswith(_OURS))
    attempt = str(attempts_of(headers) + 1)
    return (*original, (ATTEMPT, attempt.encode()), (OF, of.encode()))
