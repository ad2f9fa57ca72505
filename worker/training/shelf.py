"""What encoders are trained on, on disk: memory is that of what is looked at.

A file of arrays in numpy's own form, one behind the other, and an index, which is written last.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.errors import FailedRunError
from worker.models.bundles.storing import write_file


class Shelf(Mapping[int, NDArray[Any]]):
    """Arrays by number, each read when it is asked for."""

    def __init__(self, path: Path, places: Mapping[int, int]) -> None:
        self._path = path
        self._places = places

    def __getitem__(self, number: int) -> NDArray[Any]:
        with self._path.open("rb") as file:
            file.seek(self._places[number])
            array: NDArray[Any] = np.load(file, allow_pickle=False)
        return array

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def fill(path: Path, key: str, contents: Iterable[tuple[int, Any]]) -> None:
    """Write numbered arrays, or texts. Raises FailedRunError where that cannot be done."""
    places: dict[int, int] = {}
    try:
        with path.open("wb") as file:
            for number, content in contents:
                places[number] = file.tell()
                np.save(file, np.asarray(content), allow_pickle=False)
        write_file(_index(path), json.dumps({"key": key, "places": places}).encode())
    except OSError as error:
        raise FailedRunError(f"{path} cannot be written ({error.strerror}).") from None


def open_shelf(path: Path, key: str) -> Shelf | None:
    """Return what was written under this key; None where that was not done, or not to the end."""
    try:
        index = json.loads(_index(path).read_bytes())
    except OSError:
        return None
    if index["key"] != key:
        return None
    return Shelf(path, {int(number): place for number, place in index["places"].items()})


def _index(path: Path) -> Path:
    return path.with_suffix(".json")
