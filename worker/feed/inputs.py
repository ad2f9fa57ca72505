"""Recognises files by their kind and merges what they hold into one stream of events."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from worker.core.events import Modality
from worker.errors import OperatorError
from worker.feed import audio, captions, images, video
from worker.feed.captions import Caption
from worker.feed.events import FLAC, JPEG, PLAIN_TEXT, FeedEvent, Piece, to_event
from worker.feed.track import has_track

VIDEO = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mpg", ".mpeg"})
AUDIO = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac"})


@dataclass(frozen=True, slots=True)
class Stream:
    """What one file says of one source in one modality. `read` starts anew, lazily, each time."""

    source: str
    modality: Modality
    path: Path
    read: Callable[[], Iterator[Piece]]


def open_inputs(
    paths: Sequence[Path],
    source: str | None = None,
    fps: float | None = None,
    clip_seconds: float = 1.0,
) -> list[Stream]:
    """Return the streams of video, audio and caption files and of directories of images.

    The source is the file's stem, so `cam1.mp4`, `cam1.wav` and `cam1.srt` belong together; or
    `source`, for all; captions that name their source keep it. `fps` is an upper bound for video
    and the rate of images. The audio track of a video is used where no audio file of its source
    is given. Raises OperatorError for what is missing, damaged or not understood, and for two
    files that tell of the same source in the same modality.
    """
    listed = [stream for path in paths for stream in _of_path(path, source, fps, clip_seconds)]
    separate = {stream.source for stream in listed if stream.path.suffix.lower() in AUDIO}
    streams = [stream for stream in listed if not _replaced(stream, separate)]
    _check_unique(streams)
    return streams


def merge(streams: Sequence[Stream], start: int) -> Iterator[FeedEvent]:
    """Yield all events in order of time, lazily; files begin at `start` (epoch microseconds)."""
    return heapq.merge(*(_events(stream, start) for stream in streams), key=attrgetter("time"))


def _events(stream: Stream, start: int) -> Iterator[FeedEvent]:
    for number, piece in enumerate(stream.read()):
        yield to_event(
            piece, source=stream.source, modality=stream.modality, start=start, number=number
        )


def _of_path(
    path: Path, source: str | None, fps: float | None, clip_seconds: float
) -> list[Stream]:
    kind = path.suffix.lower()
    if path.is_dir():
        return [_of_images(path, source or path.resolve().name, fps)]
    if not path.exists():
        raise OperatorError(f"There is no file or directory {path}; check the path.")
    if kind in captions.PARSERS:
        return _of_captions(path, source or path.stem)
    if kind in VIDEO:
        return _of_video(path, source or path.stem, fps, clip_seconds)
    if kind in AUDIO:
        return [_of_audio(path, source or path.stem, clip_seconds)]
    raise OperatorError(f"{path} is of no kind that is understood: {_understood()}.")


def _understood() -> str:
    kinds = {"video": VIDEO, "audio": AUDIO, "captions": captions.PARSERS}
    named = [f"{kind} ({' '.join(sorted(endings))})" for kind, endings in kinds.items()]
    return ", ".join([*named, f"a directory of images ({' '.join(images.CONTENT_TYPES)})"])


def _of_images(path: Path, source: str, fps: float | None) -> Stream:
    if fps is None or not fps > 0:
        raise OperatorError(
            f"The images of {path} have no frame rate of their own; give one with --fps."
        )
    found = images.list_images(path)
    return Stream(source, Modality.FRAME, path, partial(images.frames, found, fps))


def _of_video(path: Path, source: str, fps: float | None, clip_seconds: float) -> list[Stream]:
    if not has_track(path, "video"):
        raise OperatorError(f"{path} has no video track; give a video file, or its audio as .m4a.")
    frames = Stream(source, Modality.FRAME, path, partial(_frames, path, fps))
    has_audio = has_track(path, "audio")
    return [frames, _of_audio(path, source, clip_seconds)] if has_audio else [frames]


def _of_audio(path: Path, source: str, clip_seconds: float) -> Stream:
    if not has_track(path, "audio"):
        raise OperatorError(f"{path} has no audio track; give a file that has one.")
    return Stream(source, Modality.AUDIO, path, partial(_clips, path, clip_seconds))


def _of_captions(path: Path, source: str) -> list[Stream]:
    named = [caption._replace(source=caption.source or source) for caption in captions.read(path)]
    by_source = groupby(sorted(named, key=_source), key=_source)
    return [
        Stream(name, Modality.CAPTION, path, partial(_texts, tuple(group)))
        for name, group in by_source
    ]


def _source(caption: Caption) -> str:
    return caption.source or ""


def _frames(path: Path, fps: float | None) -> Iterator[Piece]:
    return (Piece(offset, JPEG, payload) for offset, payload in video.frames(path, fps))


def _clips(path: Path, clip_seconds: float) -> Iterator[Piece]:
    return (Piece(offset, FLAC, payload) for offset, payload in audio.clips(path, clip_seconds))


def _texts(held: Sequence[Caption]) -> Iterator[Piece]:
    return (Piece(caption.offset, PLAIN_TEXT, caption.text.encode()) for caption in held)


def _replaced(stream: Stream, separate: set[str]) -> bool:
    """Say whether this is the audio track of a video whose source has an audio file."""
    is_track = stream.modality is Modality.AUDIO and stream.path.suffix.lower() in VIDEO
    return is_track and stream.source in separate


def _check_unique(streams: Sequence[Stream]) -> None:
    seen: dict[tuple[str, Modality], Path] = {}
    for stream in streams:
        key = (stream.source, stream.modality)
        if key in seen:
            raise OperatorError(
                f"{seen[key]} and {stream.path} both hold the {stream.modality} events of "
                f"{stream.source!r}; give one of them, or let their names differ."
            )
        seen[key] = stream.path
