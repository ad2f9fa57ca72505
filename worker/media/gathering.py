"""The media of a Moment that are looked at: some of its frames, its sound, its caption."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.core.events import Event, Modality
from worker.core.masks import Area, Masks
from worker.core.moment import Effort, Moment, evenly
from worker.core.reuse import Glimpse, Look
from worker.core.rfc3339 import MICROSECONDS
from worker.errors import InvalidEventError, Reason
from worker.media.audio import SAMPLE_RATE
from worker.media.decode import check, decode
from worker.media.frames import Frame, frame_of
from worker.media.limits import Limits

Samples = NDArray[np.float32]
Decode = Callable[[Event], Any]


@dataclass(frozen=True, slots=True)
class Rejected:
    """An event whose media cannot be decoded."""

    event: Event
    reason: Reason
    message: str


@dataclass(slots=True)
class Gathered:
    """Decoded media with the events that they are of. The sound is float32 mono 16 kHz (N,)."""

    frames: list[Frame] = field(default_factory=list)
    waveform: tuple[list[Event], Samples] | None = None
    caption: tuple[Event, str] | None = None
    rejected: list[Rejected] = field(default_factory=list)


class Gatherer:
    """Decodes of a Moment up to `frames` frames, not reduced below `side` pixels, and the rest.

    What is not decoded is checked, so that it is rejected nonetheless where it is broken. `name`
    makes the key of a frame's content.
    """

    def __init__(
        self,
        limits: Limits,
        frames: int,
        side: int,
        masks: Masks,
        name: Callable[[Event, Sequence[Area]], bytes],
    ) -> None:
        self._limits = limits
        self._frames = frames
        self._side = side
        self._masks = masks
        self._name = name

    def __call__(self, moment: Moment, known: Mapping[bytes, Look]) -> Gathered:
        """Return the media; may be called from several threads.

        Contents that are `known` by their keys, or that a frame before has, are not decoded.
        """
        gathered = Gathered()
        rejected = gathered.rejected
        gathered.frames = self._seen(moment, dict(known), rejected)
        gathered.waveform = self._waveform(moment, rejected)
        gathered.caption = self._caption(moment, rejected)
        return gathered

    def _seen(
        self, moment: Moment, known: dict[bytes, Look], rejected: list[Rejected]
    ) -> list[Frame]:
        """Decode an even choice of the frames; another one only where all of it is broken."""

        def look(event: Event) -> Frame:
            return self._frame(event, known)

        frames = moment.of(Modality.FRAME)
        chosen = evenly(frames, moment.effort.frames(self._frames))
        decoded = [frame for _, frame in self._decoded(chosen, rejected, look)]
        for event in frames:
            if event in chosen:
                continue
            if decoded or not chosen:
                self._check(event, rejected)
            else:
                decoded += (frame for _, frame in self._decoded([event], rejected, look))
        return decoded

    def _frame(self, event: Event, known: dict[bytes, Look]) -> Frame:
        areas = self._masks.of(event.source)
        key = self._name(event, areas)
        if key in known:
            return Frame(event, areas, Glimpse(key, event.time, known[key]))
        frame = frame_of(event, self._decode(event), areas, key, self._side)
        known[key] = frame.glimpse.look
        return frame

    def _waveform(
        self, moment: Moment, rejected: list[Rejected]
    ) -> tuple[list[Event], Samples] | None:
        """Decode clips until the longest one allowed, or the window, is filled; check the rest."""
        longest = max(self._limits.max_audio_seconds, (moment.end - moment.start) / MICROSECONDS)
        left = 0 if moment.effort is Effort.CAPTION_ALONE else int(longest * SAMPLE_RATE)
        clips: list[tuple[Event, Samples]] = []
        for event in moment.of(Modality.AUDIO):
            if left <= 0:
                self._check(event, rejected)
                continue
            for _, samples in self._decoded([event], rejected):
                clips.append((event, samples))
                left -= len(samples)
        if not clips:
            return None
        return [event for event, _ in clips], np.concatenate([samples for _, samples in clips])

    def _caption(self, moment: Moment, rejected: list[Rejected]) -> tuple[Event, str] | None:
        own = list(self._decoded(moment.of(Modality.CAPTION), rejected))
        if not own and moment.carried is not None:
            own = list(self._decoded([moment.carried], rejected))
        return own[-1] if own else None

    def _decode(self, event: Event) -> Any:
        return decode(event, self._limits, self._side)

    def _decoded(
        self, events: Iterable[Event], rejected: list[Rejected], by: Decode | None = None
    ) -> Iterator[tuple[Event, Any]]:
        """Yield each event with its media; note those that are rejected."""
        for event in events:
            try:
                yield event, (by or self._decode)(event)
            except InvalidEventError as error:
                rejected.append(Rejected(event, error.reason, error.message))

    def _check(self, event: Event, rejected: list[Rejected]) -> None:
        try:
            check(event, self._limits)
        except InvalidEventError as error:
            rejected.append(Rejected(event, error.reason, error.message))
