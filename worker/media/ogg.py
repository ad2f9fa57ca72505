"""The pages of an Ogg file (RFC 3533), walked to see that the last one is whole.

The decoder below drops an incomplete last page without a word, which would shorten a truncated
clip. (A cut between two pages leaves a valid, shorter stream; nothing can tell.)
"""

from __future__ import annotations

from worker.errors import InvalidEventError, Reason

_HEADER = 27  # bytes before the table of segment sizes


def check_pages(payload: bytes) -> None:
    """Raise InvalidEventError(UNDECODABLE_AUDIO) unless the payload is a row of whole pages."""
    position = 0
    while position < len(payload):
        table = position + _HEADER
        if payload[position : position + 4] != b"OggS" or table > len(payload):
            raise _undecodable()
        segments = payload[table - 1]
        position = table + segments + sum(payload[table : table + segments])
    if position != len(payload) or not payload:
        raise _undecodable()


def _undecodable() -> InvalidEventError:
    message = "the payload is not a row of whole Ogg pages"
    return InvalidEventError(Reason.UNDECODABLE_AUDIO, message)
