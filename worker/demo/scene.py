"""A scene described by a `scenario.yaml`: one clip read as several cameras, and labelled events."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from worker.core import rfc3339
from worker.core.events import Modality
from worker.demo.injections import cover_lens, mix
from worker.errors import OperatorError
from worker.feed import audio, captions, video
from worker.feed.audio import Waveform
from worker.feed.events import FLAC, JPEG, PLAIN_TEXT, FeedEvent, Piece, to_event
from worker.feed.video import Crop

PLAZA = Path(__file__).with_name("plaza")
LENS_COVERED = "lens_covered"

_STRICT = ConfigDict(extra="forbid")
_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Pixels = Annotated[int, Field(gt=0)]


@dataclass(frozen=True, slots=True, config=_STRICT)
class Clip:
    """The video file of the scene; sizes in pixels, `fps` frames per second."""

    file: str
    width: _Pixels
    height: _Pixels
    fps: _Positive
    duration_s: _Positive


@dataclass(frozen=True, slots=True, config=_STRICT)
class Camera:
    """A part of the picture (x, y, width, height in pixels) with an audio file of its own."""

    id: str
    crop: Crop
    audio: str

    @property
    def source(self) -> str:
        """The source id of the camera's events."""
        return f"/cameras/{self.id}"


@dataclass(frozen=True, slots=True, config=_STRICT)
class Span:
    """A stretch `[start_s, end_s)` of the clip, in seconds, in one modality of one camera."""

    camera: str
    modality: Modality
    start_s: _Seconds
    end_s: _Seconds

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if not self.start_s < self.end_s:
            raise ValueError(f"end_s ({self.end_s:g}) must be after start_s ({self.start_s:g})")
        return self

    def covers(self, offset: int) -> bool:
        """Say whether `offset`, in microseconds of the clip, is inside."""
        return rfc3339.seconds(self.start_s) <= offset < rfc3339.seconds(self.end_s)


@dataclass(frozen=True, slots=True, config=_STRICT)
class Dropout(Span):
    """The modality is missing here. Not an anomaly: the rest must still be scored."""


@dataclass(frozen=True, slots=True, config=_STRICT)
class Label(Span):
    """An unusual event: in the footage itself (`natural`), or to be injected.

    An injected one is, by modality: frame - a covered lens; audio - the sound of the file `mix`,
    raised by `gain_db` decibel, is added from `start_s` on; caption - `text` replaces the true one.
    """

    kind: str
    natural: bool
    note: str = ""
    mix: str = ""
    gain_db: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    text: str = ""

    @model_validator(mode="after")
    def _can_be_injected(self) -> Self:
        possible = {
            Modality.FRAME: self.kind == LENS_COVERED,
            Modality.AUDIO: self.mix != "",
            Modality.CAPTION: self.text != "",
        }
        if not self.natural and not possible[self.modality]:
            raise ValueError(
                f"to inject it needs kind {LENS_COVERED} (frame), mix (audio) or text (caption)"
            )
        return self


@dataclass(frozen=True, slots=True, config=_STRICT)
class Scene:
    """A scene. File names are relative to `directory`."""

    directory: Path
    title: str
    video: Clip
    captions: str
    calibration_end_s: _Seconds
    cameras: Annotated[tuple[Camera, ...], Field(min_length=1)]
    labels: tuple[Label, ...] = ()
    dropouts: tuple[Dropout, ...] = ()

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        known = {camera.id for camera in self.cameras}
        if len(known) < len(self.cameras):
            raise ValueError("two cameras have the same id")
        for span in (*self.labels, *self.dropouts):
            if span.camera not in known:
                raise ValueError(f"there is no camera {span.camera!r}; known are {sorted(known)}")
        for camera in self.cameras:
            x, y, width, height = camera.crop
            if x + width > self.video.width or y + height > self.video.height:
                raise ValueError(f"the crop of camera {camera.id} leaves the picture")
        return self

    def injected(self, camera: Camera, modality: Modality) -> tuple[Label, ...]:
        """Return the labels that are to be injected into one modality of a camera."""
        here = (camera.id, modality)
        labels = (label for label in self.labels if not label.natural)
        return tuple(label for label in labels if (label.camera, label.modality) == here)

    def is_missing(self, camera: Camera, modality: Modality, offset: int) -> bool:
        """Say whether a dropout swallows what this camera sends at `offset` (microseconds)."""
        here = (camera.id, modality)
        gaps = (gap for gap in self.dropouts if (gap.camera, gap.modality) == here)
        return any(gap.covers(offset) for gap in gaps)

    def as_filmed(self) -> Scene:
        """Return the scene without the events that are to be injected."""
        return replace(self, labels=tuple(label for label in self.labels if label.natural))


def load(directory: Path = PLAZA) -> Scene:
    """Return the scene that `directory`/scenario.yaml describes.

    Raises OperatorError where it cannot be read or is not valid.
    """
    path = directory / "scenario.yaml"
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        return TypeAdapter(Scene).validate_python(_named(raw, directory))
    except OSError as error:
        raise OperatorError(f"Cannot read {path}: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise OperatorError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "scene"
        raise OperatorError(f"{path}: {place}: {first['msg']}.") from error


def events(
    scene: Scene, start: int, *, until_s: float | None = None, inject: bool = True
) -> Iterator[FeedEvent]:
    """Yield the scene's events in order of time; the clip begins at `start` (epoch microseconds).

    Only what begins before `until_s` (default: the whole clip) is played. Without `inject` the
    injected events are left out; natural events and dropouts stay. The same arguments give the
    same bytes. Raises OperatorError where a file of the scene cannot be read.
    """
    end = start + rfc3339.seconds(scene.video.duration_s if until_s is None else until_s)
    shown = scene if inject else scene.as_filmed()
    streams = [_frames(shown, start)]
    for camera in shown.cameras:
        streams += [_sounds(shown, camera, start), _captions(shown, camera, start)]
    played = (takewhile(lambda event: event.time < end, stream) for stream in streams)
    return heapq.merge(*played, key=attrgetter("time"))


def _frames(scene: Scene, start: int) -> Iterator[FeedEvent]:
    """Cut the views of all cameras out of one decoding of the clip."""
    decoded = video.decode(scene.directory / scene.video.file, scene.video.fps)
    covered = {camera.id: scene.injected(camera, Modality.FRAME) for camera in scene.cameras}
    for number, (offset, image) in enumerate(decoded):
        for camera in scene.cameras:
            if scene.is_missing(camera, Modality.FRAME, offset):
                continue
            view = video.cut(image, camera.crop)
            if any(label.covers(offset) for label in covered[camera.id]):
                view = cover_lens(view)
            piece = Piece(offset, JPEG, video.encode_jpeg(view))
            yield _event(piece, camera, Modality.FRAME, start, number)


def _sounds(scene: Scene, camera: Camera, start: int) -> Iterator[FeedEvent]:
    mixes = [
        (label, _whole_sound(scene.directory / label.mix))
        for label in scene.injected(camera, Modality.AUDIO)
    ]
    for number, (offset, clip) in enumerate(audio.decode(scene.directory / camera.audio)):
        if scene.is_missing(camera, Modality.AUDIO, offset):
            continue
        heard = clip
        for label, sound in mixes:
            delay = (rfc3339.seconds(label.start_s) - offset) * audio.RATE // rfc3339.MICROSECONDS
            heard = mix(heard, sound, delay, label.gain_db)
        piece = Piece(offset, FLAC, audio.encode_flac(heard))
        yield _event(piece, camera, Modality.AUDIO, start, number)


def _captions(scene: Scene, camera: Camera, start: int) -> Iterator[FeedEvent]:
    contradictions = scene.injected(camera, Modality.CAPTION)
    listed = captions.read(scene.directory / scene.captions)
    own = (caption for caption in listed if caption.source == camera.id)
    for number, caption in enumerate(own):
        if scene.is_missing(camera, Modality.CAPTION, caption.offset):
            continue
        said = (label.text for label in contradictions if label.covers(caption.offset))
        text = next(said, caption.text)
        piece = Piece(caption.offset, PLAIN_TEXT, text.encode())
        yield _event(piece, camera, Modality.CAPTION, start, number)


def _event(piece: Piece, camera: Camera, modality: Modality, start: int, number: int) -> FeedEvent:
    return to_event(piece, source=camera.source, modality=modality, start=start, number=number)


def _whole_sound(path: Path) -> Waveform:
    return np.concatenate([clip for _, clip in audio.decode(path)])


def _named(raw: Any, directory: Path) -> Any:
    """Give the file's `events` the name they have here: an event is a record everywhere else."""
    if not isinstance(raw, dict):
        return raw
    renamed = {"labels" if key == "events" else key: value for key, value in raw.items()}
    return {**renamed, "directory": directory}
