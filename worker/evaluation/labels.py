"""Labelled events: what is known to be an anomaly, in CSV or JSON lines.

Columns or fields: `source`, `start`, `end`, `kind`, and `modality` where one shows it best. Times
are RFC 3339, or seconds after the beginning of the source's first Observation.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from worker.core import rfc3339
from worker.core.events import MODALITIES, Modality
from worker.errors import OperatorError
from worker.feed.rows import Row, read_rows

FIELDS = ("source", "start", "end", "kind", "modality")
_MAX_SECONDS = 10 * 365 * 86_400


@dataclass(frozen=True, slots=True)
class Time:
    """Microseconds: since the epoch, or `is_relative` to the beginning of the source."""

    micros: int
    is_relative: bool

    def resolved(self, origin: int) -> int:
        """Return microseconds since the epoch of a source that begins at `origin`."""
        return origin + self.micros if self.is_relative else self.micros


@dataclass(frozen=True, slots=True)
class EventLabel:
    """An event of one source, `[start, end)`. `modality` is None where none shows it best."""

    source: str
    start: Time
    end: Time
    kind: str
    modality: Modality | None = None

    @property
    def is_relative(self) -> bool:
        """Whether it counts from the beginning of its source."""
        return self.start.is_relative or self.end.is_relative


def read_labels(path: Path) -> list[EventLabel]:
    """Return the labels of a `.csv` or `.jsonl` file. Raises OperatorError, one sentence."""
    if path.suffix not in {".csv", ".jsonl"}:
        raise OperatorError(f"labels {path} must end with .csv or .jsonl.")
    found = [_label(row, place) for place, row in read_rows(path, FIELDS, required=4)]
    if not found:
        raise OperatorError(f"{path} holds no label.")
    return found


def write_csv(labels: Iterable[EventLabel], file: TextIO) -> None:
    """Write labels as CSV with a heading."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(FIELDS)
    for each in labels:
        times = (_text(each.start), _text(each.end))
        writer.writerow((each.source, *times, each.kind, each.modality or ""))


def _label(row: Row, place: str) -> EventLabel:
    source, kind, modality = (row.get(name) for name in ("source", "kind", "modality"))
    if not isinstance(source, str) or not source:
        raise OperatorError(f"{place}: source must be a text.")
    if not isinstance(kind, str) or not kind:
        raise OperatorError(f"{place}: kind must be a text.")
    if modality not in (None, "", *MODALITIES):
        raise OperatorError(f"{place}: modality must be {', '.join(MODALITIES)} or left out.")
    start, end = (_time(row.get(name), f"{place}: {name}") for name in ("start", "end"))
    if start.is_relative == end.is_relative and end.micros <= start.micros:
        raise OperatorError(f"{place}: end must be after start.")
    return EventLabel(source, start, end, kind, Modality(str(modality)) if modality else None)


def _time(value: object, place: str) -> Time:
    try:
        seconds = float(str(value))
    except ValueError:
        return _absolute(value, place)
    if not 0 <= seconds <= _MAX_SECONDS:
        raise OperatorError(f"{place} must be from 0 to {_MAX_SECONDS} seconds.")
    return Time(rfc3339.seconds(seconds), is_relative=True)


def _absolute(value: object, place: str) -> Time:
    try:
        return Time(rfc3339.parse(str(value)), is_relative=False)
    except (ValueError, OverflowError):
        raise OperatorError(
            f"{place} must be an RFC 3339 time with a zone, or seconds after the first Observation."
        ) from None


def _text(time: Time) -> str:
    if time.is_relative:
        return f"{time.micros / rfc3339.MICROSECONDS:.6f}".rstrip("0").rstrip(".")
    return rfc3339.format(time.micros)
