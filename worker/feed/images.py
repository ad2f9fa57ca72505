"""A directory of pictures as a stream of frames; the files go out as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from worker.core.rfc3339 import MICROSECONDS
from worker.errors import OperatorError
from worker.feed.events import JPEG, Piece

CONTENT_TYPES = {".jpg": JPEG, ".jpeg": JPEG, ".png": "image/png", ".webp": "image/webp"}


def list_images(directory: Path) -> list[Path]:
    """Return the pictures by name, numbers as numbers (`a2` before `a10`), and no other files.

    Raises OperatorError where there is no picture.
    """
    try:
        found = [path for path in directory.iterdir() if path.suffix.lower() in CONTENT_TYPES]
    except OSError as error:
        raise OperatorError(f"Cannot list {directory}: {error.strerror}.") from error
    if not found:
        raise OperatorError(f"{directory} holds no {', '.join(CONTENT_TYPES)} file; add some.")
    return sorted(found, key=_natural)


def frames(paths: list[Path], fps: float) -> Iterator[Piece]:
    """Yield the pictures in the given order, `fps` (above 0) per second; one is read at a time.

    Raises OperatorError where a file cannot be read.
    """
    for number, path in enumerate(paths):
        try:
            payload = path.read_bytes()
        except OSError as error:
            raise OperatorError(f"Cannot read {path}: {error.strerror}.") from error
        yield Piece(round(number * MICROSECONDS / fps), CONTENT_TYPES[path.suffix.lower()], payload)


def _natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    parts = re.split(r"([0-9]+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], path.name
