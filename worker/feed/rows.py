"""Rows that people write: a `.csv` file with a heading, or a file with a JSON object per line."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from worker.errors import OperatorError

Row = Mapping[str, object]


def read_rows(path: Path, fields: Sequence[str], required: int) -> list[tuple[str, Row]]:
    """Return each row with its place, "path line N", for what else there is to be said of it.

    The first `required` of the `fields` must be columns of a CSV file; JSON objects are left to the
    caller. Raises OperatorError, one sentence.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            is_csv = path.suffix.lower() == ".csv"
            rows = _of_csv(file, path, fields, required) if is_csv else _of_json_lines(file, path)
            return list(rows)
    except UnicodeDecodeError:
        raise OperatorError(f"{path} must be UTF-8.") from None
    except csv.Error as error:
        raise OperatorError(f"{path} is no CSV file ({error}).") from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise OperatorError(f"{path} cannot be read ({reason}).") from None


def _of_csv(
    file: TextIO, path: Path, fields: Sequence[str], required: int
) -> Iterator[tuple[str, Row]]:
    reader = csv.DictReader(file)
    missing = sorted(set(fields[:required]) - set(reader.fieldnames or ()))
    if missing:
        wanted = ",".join(fields)
        raise OperatorError(
            f"{path} lacks the column {missing[0]}: its first line must be {wanted}."
        )
    for row in reader:
        yield f"{path} line {reader.line_num}", row


def _of_json_lines(file: TextIO, path: Path) -> Iterator[tuple[str, Row]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        place = f"{path} line {number}"
        try:
            row = json.loads(line)
            json.dumps(row, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise OperatorError(
                f"{place} holds half a surrogate pair, which is no character."
            ) from None
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise OperatorError(f"{place} must be a JSON object.")
        yield place, row
