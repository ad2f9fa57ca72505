"""What `mmworker fit` learns from: stored Observations, or media that are encoded first."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from worker.config import Config
from worker.core import rfc3339
from worker.core.events import Modality
from worker.demo import embedded, scene
from worker.errors import FailedRunError, OperatorError
from worker.feed import manifest
from worker.feed.captions import PARSERS
from worker.feed.events import FeedEvent
from worker.feed.inputs import AUDIO, VIDEO, merge, open_inputs
from worker.models.base import Encoder
from worker.models.bundles.storing import write_file
from worker.models.weights import joint_digest

OBSERVATIONS, MANIFESTS, SCENE = (
    "observations.jsonl",
    ("manifest.csv", "manifest.jsonl"),
    "scenario.yaml",
)
START = rfc3339.parse("2020-01-01T00:00:00Z")  # of media without times of their own

Events = Callable[[], Iterator[FeedEvent]]


@dataclass(frozen=True, slots=True)
class Opened:
    """One of the two is there: Observations that are stored, or events yet to be encoded."""

    origin: str
    observations: Path | None
    events: Events | None


def open_data(path: Path, seconds: float | None, fps: float | None) -> Opened:
    """Recognise what a file or directory holds. Raises OperatorError.

    Of media only what begins before `seconds` is taken; `fps` is that of images.
    """
    if not path.exists():
        raise OperatorError(f"There is no file or directory {path}; check the path.")
    if path.is_dir():
        return _of_directory(path, seconds, fps)
    if path.suffix.lower() in {".jsonl", ".csv"} and not _is_observations(path):
        rows = manifest.read_manifest(path)
        return Opened(path.name, None, _until(lambda: manifest.events(rows, START), seconds))
    if path.suffix.lower() == ".jsonl":
        return Opened(path.name, path, None)
    return _of_media([path], path.name, seconds, fps)


def encode(
    opened: Opened | None,
    config: Config,
    encoders: Mapping[Modality, Encoder],
    kept: Path,
    progress: Callable[[int], None],
) -> None:
    """Run the events through the worker and keep its Observations, embeddings included.

    Raises FailedRunError where the file cannot be written.
    """
    if opened is None or opened.events is None:
        return
    played = embedded.play(config, encoders, opened.events(), progress=progress)
    lines = [record.value or b"" for record in played.records[config.topics.observations]]
    try:
        write_file(kept, b"".join(line + b"\n" for line in lines))
    except OSError as error:
        raise FailedRunError(f"{kept} cannot be written ({error.strerror}).") from None


def media_key(path: Path, model: str, seconds: float | None, fps: float | None) -> str:
    """Return a digest of what encoded media depend on: files by name, size and time, the model."""
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    stats = [(each.name, each.stat().st_size, each.stat().st_mtime_ns) for each in files]
    return joint_digest("media 1", os.fspath(path.resolve()), model, repr((seconds, fps, stats)))


def _of_directory(path: Path, seconds: float | None, fps: float | None) -> Opened:
    if (path / OBSERVATIONS).exists():
        return Opened(path.name, path / OBSERVATIONS, None)
    for name in MANIFESTS:
        if (path / name).exists():
            return open_data(path / name, seconds, fps)
    if (path / SCENE).exists():
        found = scene.load(path)
        return Opened(
            found.title, None, lambda: scene.events(found, START, until_s=seconds, inject=False)
        )
    known = {*VIDEO, *AUDIO, *PARSERS}
    media = sorted(each for each in path.iterdir() if each.suffix.lower() in known)
    if not media:
        raise OperatorError(
            f"{path} holds nothing to learn from: {OBSERVATIONS}, {' or '.join(MANIFESTS)}, or"
            " video, audio and caption files of the same names."
        )
    return _of_media(media, path.name, seconds, fps)


def _of_media(media: list[Path], origin: str, seconds: float | None, fps: float | None) -> Opened:
    streams = open_inputs(media, fps=fps)
    return Opened(origin, None, _until(lambda: merge(streams, START), seconds))


def _until(events: Events, seconds: float | None) -> Events:
    """Return the events that begin in the first `seconds`; manifests may begin at any time."""
    if seconds is None:
        return events

    def limited() -> Iterator[FeedEvent]:
        found = events()
        first = next(found, None)
        if first is not None:
            end = first.time + rfc3339.seconds(seconds)
            yield first
            yield from takewhile(lambda event: event.time < end, found)

    return limited


def _is_observations(path: Path) -> bool:
    """Tell by its first line whether a file holds Observations."""
    try:
        with path.open("rb") as file:
            first = json.loads(file.readline() or b"null")
    except (OSError, ValueError):
        return False
    return isinstance(first, dict) and "observation_id" in first
