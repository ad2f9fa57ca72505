"""Events listed one by one, with their media in files of their own: CSV or JSON lines.

    source,time,modality,path,text
    /cameras/gate,0.0,frame,frames/000.jpg,
    /cameras/gate,0.5,caption,,A van stops.

`time` is RFC 3339, or seconds after the start; `path` is relative to the manifest. A caption has
its words in `text`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from worker.core import rfc3339
from worker.core.events import MODALITIES, Modality
from worker.errors import OperatorError
from worker.feed.events import FLAC, PLAIN_TEXT, FeedEvent, Piece, to_event
from worker.feed.images import CONTENT_TYPES as IMAGES
from worker.feed.rows import Row, read_rows

COLUMNS = ("source", "time", "modality", "path", "text")
SOUNDS = {".wav": "audio/wav", ".flac": FLAC, ".ogg": "audio/ogg"}
_LATEST_SECONDS = 1e9  # so that seconds since the epoch are not taken for an offset


@dataclass(frozen=True, slots=True)
class Listed:
    """A row. `time` is in microseconds: since the epoch, or after the start if `is_relative`."""

    source: str
    modality: Modality
    time: int
    is_relative: bool
    content_type: str
    path: Path | None
    text: str


def read_manifest(path: Path) -> list[Listed]:
    """Return the rows. Raises OperatorError, with the line, for one that cannot be used."""
    listed = read_rows(path, COLUMNS, required=3)
    rows = [_listed(row, path.parent, place) for place, row in listed]
    if not rows:
        raise OperatorError(f"{path} lists no event.")
    return rows


def events(rows: list[Listed], start: int) -> Iterator[FeedEvent]:
    """Yield the events in order of time; files are read as they come. Raises OperatorError."""
    timed = [(row.time + start if row.is_relative else row.time, row) for row in rows]
    for number, (time, row) in enumerate(sorted(timed, key=lambda pair: pair[0])):
        piece = Piece(time - start, row.content_type, _payload(row))
        yield to_event(piece, source=row.source, modality=row.modality, start=start, number=number)


def _listed(row: Row, directory: Path, place: str) -> Listed:
    source, kind = row.get("source"), row.get("modality")
    if not isinstance(source, str) or not source:
        raise OperatorError(f"{place}: source must be a text.")
    if kind not in MODALITIES:
        raise OperatorError(f"{place}: modality must be one of {', '.join(MODALITIES)}.")
    modality = Modality(str(kind))
    time, is_relative = _time(row.get("time"), place)
    if modality is Modality.CAPTION:
        text = row.get("text")
        if not isinstance(text, str) or not text.strip():
            raise OperatorError(f"{place}: a caption must have a text.")
        return Listed(source, modality, time, is_relative, PLAIN_TEXT, None, text)
    path = directory / str(row.get("path") or "")
    known = IMAGES if modality is Modality.FRAME else SOUNDS
    if path.suffix.lower() not in known or not _is_file(path):
        raise OperatorError(f"{place}: path must be a file that ends with {', '.join(known)}.")
    content_type = known[path.suffix.lower()]
    return Listed(source, modality, time, is_relative, content_type, path, "")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # the name is too long, or what it lies in is closed to us
        return False


def _time(value: object, place: str) -> tuple[int, bool]:
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = math.nan
    if 0 <= seconds < _LATEST_SECONDS:
        return rfc3339.seconds(seconds), True
    try:
        return rfc3339.parse(str(value)), False
    except (ValueError, OverflowError):
        raise OperatorError(
            f"{place}: time must be RFC 3339 with a zone, or seconds after the start."
        ) from None


def _payload(row: Listed) -> bytes:
    if row.path is None:
        return row.text.encode()
    try:
        return row.path.read_bytes()
    except OSError as error:
        raise OperatorError(f"Cannot read {row.path}: {error.strerror}.") from None
