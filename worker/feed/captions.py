"""Captions from CSV, JSON Lines, SubRip (SRT) and WebVTT files."""

from __future__ import annotations

import csv
import html
import io
import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from worker.core import rfc3339
from worker.errors import OperatorError

_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{2})[.,](\d{1,3})"
_TIMING = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?", re.ASCII)
_MARKUP = re.compile(r"</?[A-Za-z][^<>]*>|<[\d:.]+>|\{\\[^{}]*\}")
_SURROGATE = re.compile(r"[\ud800-\udfff]")  # JSON can escape what UTF-8 cannot hold
_LONGEST_SECONDS = 1e9  # so that seconds since the epoch are not taken for an offset
_NOT_CUES = ("WEBVTT", "NOTE", "STYLE", "REGION")


class Caption(NamedTuple):
    """A text about the scene. `offset` is microseconds from the start of the media it describes."""

    offset: int
    text: str
    source: str | None = None


class _MalformedError(Exception):
    """A line that cannot be understood; the reader of the file adds its name."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")


def read(path: Path) -> list[Caption]:
    """Return the captions in order of time; the format is known by the file's ending.

    - `.csv`: a header with `start_s` (seconds) and `text`, where wanted `source` or `camera`
    - `.jsonl`, `.ndjson`: objects with `start_s` or `time` (seconds), `text`, where wanted `source`
    - `.srt`, `.vtt`: cues; their markup is taken out, cues without text are left out

    Raises OperatorError, with the line, where the file cannot be read or holds no caption.
    """
    parse = PARSERS[path.suffix.lower()]
    try:
        captions = list(parse(_text(path)))
    except _MalformedError as error:
        raise OperatorError(f"{path}, {error}.") from error
    if not captions:
        raise OperatorError(f"{path} holds no captions; give a file that has some.")
    return sorted(captions, key=lambda caption: caption.offset)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise OperatorError(f"Cannot read {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise OperatorError(f"{path} is not UTF-8 text; save it as UTF-8.") from error


def _parse_csv(text: str) -> Iterator[Caption]:
    rows = csv.DictReader(io.StringIO(text), strict=True)
    try:
        missing = {"start_s", "text"} - set(rows.fieldnames or ())
        if missing:
            raise _MalformedError(
                1, f"the header needs the columns start_s and text, not only {rows.fieldnames}"
            )
        for row in rows:
            if None in row:
                raise _MalformedError(
                    rows.line_num, "more fields than the header; quote texts that have commas"
                )
            yield _from_fields(rows.line_num, row)
    except csv.Error as error:
        raise _MalformedError(rows.reader.line_num, str(error)) from error


def _parse_jsonl(text: str) -> Iterator[Caption]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except json.JSONDecodeError as error:
            raise _MalformedError(number, f"not JSON ({error.msg})") from error
        if not isinstance(fields, dict):
            raise _MalformedError(
                number, 'expected an object such as {"start_s": 5, "text": "..."}'
            )
        yield _from_fields(number, fields)


def _from_fields(line: int, fields: dict[Any, Any]) -> Caption:
    text = fields.get("text")
    if not isinstance(text, str) or not text.strip():
        raise _MalformedError(line, "text is missing or empty")
    source = fields.get("source") or fields.get("camera")
    if not isinstance(source, str | None):
        raise _MalformedError(line, f"source must be a string, not {source!r}")
    if _SURROGATE.search(text + (source or "")):
        raise _MalformedError(line, "half of a surrogate pair, which is no character")
    start = fields.get("start_s", fields.get("time"))
    return Caption(_offset(line, start), text.strip(), source or None)


def _offset(line: int, start: object) -> int:
    value = _number(start)
    if not 0 <= value < _LONGEST_SECONDS:
        raise _MalformedError(
            line, f"the start must be seconds from the start of the media, not {start!r}"
        )
    return rfc3339.seconds(value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def _parse_srt(text: str) -> Iterator[Caption]:
    for number, block in _blocks(text):
        yield from _cue(number, block)


def _parse_vtt(text: str) -> Iterator[Caption]:
    if not text.startswith("WEBVTT"):
        raise _MalformedError(1, "a WebVTT file begins with WEBVTT")
    for number, block in _blocks(text):
        if not block[0].startswith(_NOT_CUES):
            for caption in _cue(number, block):
                yield caption._replace(text=html.unescape(caption.text))


def _blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of its first line, lines) of each run of lines that are not blank."""
    block: list[str] = []
    for number, line in enumerate([*text.split("\n"), ""], start=1):
        if line.strip():
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def _cue(number: int, block: list[str]) -> Iterator[Caption]:
    named = "-->" not in block[0] and len(block) > 1  # the first line is the cue's number or name
    timing = _TIMING.fullmatch(block[named])
    if timing is None:
        raise _MalformedError(
            number + named,
            f"expected a time such as 00:00:05,000 --> 00:00:10,000, not {block[named]!r}",
        )
    lines = (_MARKUP.sub("", line).strip() for line in block[named + 1 :])
    text = " ".join(line for line in lines if line)
    if text:
        yield Caption(_micros(*timing.groups()[:4]), text)


def _micros(hours: str | None, minutes: str, seconds: str, fraction: str) -> int:
    whole = (int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)
    return whole * rfc3339.MICROSECONDS + int(fraction.ljust(6, "0"))


PARSERS: dict[str, Callable[[str], Iterator[Caption]]] = {
    ".csv": _parse_csv,
    ".jsonl": _parse_jsonl,
    ".ndjson": _parse_jsonl,
    ".srt": _parse_srt,
    ".vtt": _parse_vtt,
}
