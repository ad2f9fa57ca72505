"""The sizes in a WAV header, checked against the bytes that are there.

The decoder below silently shortens a file that claims too much and reads nothing of a stream
whose size is 0, so both are settled here first.
"""

from __future__ import annotations

import struct

from worker.errors import InvalidEventError, Reason

_STREAM_SIZES = (0, 0xFFFFFFFF)  # what writers put that cannot seek back to fill in the size


def checked_wav(payload: bytes) -> bytes:
    """Return the payload, with the true sizes where it is a stream.

    Raises InvalidEventError(UNDECODABLE_AUDIO) where it is no RIFF WAVE file, has no `data`
    chunk, or claims more bytes than there are.
    """
    if len(payload) < 12 or payload[:4] != b"RIFF" or payload[8:12] != b"WAVE":
        raise _undecodable("the payload is not audio/wav")
    _check_claim(_size_at(payload, 4), len(payload) - 8)
    position = _data_chunk(payload)
    there = len(payload) - position - 8
    claimed = _size_at(payload, position + 4)
    _check_claim(claimed, there)
    if claimed not in _STREAM_SIZES:
        return payload
    fixed = bytearray(payload)
    struct.pack_into("<I", fixed, 4, len(payload) - 8)
    struct.pack_into("<I", fixed, position + 4, there)
    return bytes(fixed)


def _data_chunk(payload: bytes) -> int:
    """Return where the `data` chunk begins; each chunk is id, size, content, padded to even."""
    position = 12
    while position + 8 <= len(payload):
        if payload[position : position + 4] == b"data":
            return position
        size = _size_at(payload, position + 4)
        position += 8 + size + size % 2
    raise _undecodable("the WAV has no data chunk")


def _size_at(payload: bytes, position: int) -> int:
    size: int = struct.unpack_from("<I", payload, position)[0]
    return size


def _check_claim(claimed: int, there: int) -> None:
    if claimed not in _STREAM_SIZES and claimed > there:
        raise _undecodable(f"the WAV claims {claimed} bytes where there are {there}")


def _undecodable(message: str) -> InvalidEventError:
    return InvalidEventError(Reason.UNDECODABLE_AUDIO, message)
