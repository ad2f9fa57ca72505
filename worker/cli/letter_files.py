"""Dead letters and late events as files: a reader sees all of them, or none."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from worker.cli.letter_rows import document
from worker.core.set_aside import SetAside
from worker.errors import OperatorError
from worker.media.recognise import suffix

RECORDS = "records.jsonl"


def refuse_content(directory: Path) -> None:
    """Raise OperatorError unless the directory is empty or not there yet."""
    try:
        is_used = directory.exists() and (not directory.is_dir() or any(directory.iterdir()))
    except OSError as error:
        raise _unwritable(directory, error) from None
    if is_used:
        raise OperatorError(f"{directory} is there and not empty: give a new one with --output.")


def export(found: Iterable[SetAside], directory: Path) -> None:
    """Write `records.jsonl` and a file per value. Raises OperatorError."""
    aside = directory.with_name(f".{directory.name}.{os.getpid()}")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        aside.mkdir()
        _write_all(found, aside)
        aside.replace(directory)
    except OSError as error:
        raise _unwritable(directory, error) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_value(value: bytes, file: Path) -> None:
    """Write one value; an earlier file is replaced as a whole. Raises OperatorError."""
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        aside.write_bytes(value)
        aside.replace(file)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise _unwritable(file, error) from None


def _write_all(found: Iterable[SetAside], directory: Path) -> None:
    with (directory / RECORDS).open("w", encoding="utf-8") as lines:
        for each in found:
            row = {**document(each), "file": _write_file(each, directory)}
            lines.write(json.dumps(row) + "\n")


def _write_file(found: SetAside, directory: Path) -> str | None:
    record = found.record
    if record.value is None:
        return None
    name = f"{record.partition}-{record.offset}{suffix(record.value)}"
    (directory / name).write_bytes(record.value)
    return name


def _unwritable(path: Path, error: OSError) -> OperatorError:
    reason = error.strerror or str(error)
    return OperatorError(f"{path} cannot be written ({reason}): give another one.")
