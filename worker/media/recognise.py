"""What some bytes look like, by their first bytes alone: for people, never for decoding."""

from __future__ import annotations

_MAGIC = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
)
_SUFFIXES = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "audio/wav": ".wav",
    "audio/flac": ".flac",
    "audio/ogg": ".ogg",
}


def recognise(content: bytes) -> str | None:
    """Return the media type that the content begins like; None where that is none we accept.

    >>> recognise(b"fLaC...")
    'audio/flac'
    """
    for place, magic, name in _MAGIC:
        riff = place == 0 or content.startswith(b"RIFF")
        if riff and content[place : place + len(magic)] == magic:
            return name
    return None


def as_text(content: bytes) -> str | None:
    """Return the content as text; None where it is no UTF-8 text, or begins like a medium."""
    if recognise(content) is not None:
        return None
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    is_text = all(character.isprintable() or character in "\t\r\n" for character in text)
    return text if is_text else None


def suffix(content: bytes) -> str:
    """Return the ending of a file's name for the content, `.bin` where it is not known."""
    known = recognise(content)
    if known is not None:
        return _SUFFIXES[known]
    return ".bin" if as_text(content) is None else ".txt"
