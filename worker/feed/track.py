"""Opens one track of a media file with PyAV and turns its failures into operator errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import av

from worker.errors import OperatorError

Kind = Literal["video", "audio"]


@dataclass(frozen=True, slots=True)
class Track:
    """An open track. `origin` is the file's earliest timestamp in microseconds: offset 0."""

    stream: Any
    origin: int

    def decode(self) -> Iterator[Any]:
        """Yield the track's decoded frames as PyAV makes them, one at a time."""
        yield from self.stream.container.decode(self.stream)


@contextmanager
def open_track(path: Path, kind: Kind) -> Iterator[Track]:
    """Open the first track of a kind.

    Raises OperatorError when the file is missing, is damaged (also later, while it is decoded), or
    has no such track.
    """
    with _failures_explained(path, kind), av.open(path) as container:
        stream = _first(container, kind)
        if stream is None:
            raise OperatorError(f"{path} has no {kind} track; give a file that has one.")
        yield Track(stream, container.start_time or 0)


def has_track(path: Path, kind: Kind) -> bool:
    """Say whether the file has a track of this kind. Raises OperatorError if it cannot be read."""
    with _failures_explained(path, kind), av.open(path) as container:
        return _first(container, kind) is not None


def _first(container: Any, kind: Kind) -> Any:
    return next(iter(getattr(container.streams, kind)), None)


@contextmanager
def _failures_explained(path: Path, kind: Kind) -> Iterator[None]:
    try:
        yield
    except av.FFmpegError as error:
        raise OperatorError(
            f"Cannot read {path} as {kind} ({error.strerror}); check that the file is whole."
        ) from error
