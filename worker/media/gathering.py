"""The media of a Moment that are looked at: some of its frames, its sound, its caption."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.core.events import Event, Modality
from worker.core.moment import Effort, Moment, evenly
from worker.core.rfc3339 import MICROSECONDS
from worker.errors import InvalidEventError, Reason
from worker.media.audio import SAMPLE_RATE
from worker.media.decode import check, decode
from worker.media.limits import Limits

Pixels = NDArray[np.uint8]
Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Rejected:
    """An event whose media cannot be decoded."""

    event: Event
    reason: Reason
    message: str


@dataclass(slots=True)
class Gathered:
    """Decoded media with the events that they are of.

    Frames are uint8 RGB (H, W, 3), the sound is float32 mono 16 kHz (N,).
    """

    frames: list[tuple[Event, Pixels]] = field(default_factory=list)
    waveform: tuple[list[Event], Samples] | None = None
    caption: tuple[Event, str] | None = None
    rejected: list[Rejected] = field(default_factory=list)


class Gatherer:
    """Decodes of a Moment up to `frames` frames, not reduced below `side` pixels, and the rest.

    What is not decoded is checked, so that it is rejected nonetheless where it is broken.
    """

    def __init__(self, limits: Limits, frames: int, side: int) -> None:
        self._limits = limits
        self._frames = frames
        self._side = side

    def __call__(self, moment: Moment) -> Gathered:
        """Return the media; may be called from several threads."""
        gathered = Gathered()
        rejected = gathered.rejected
        gathered.frames = self._pictures(moment, rejected)
        gathered.waveform = self._waveform(moment, rejected)
        gathered.caption = self._caption(moment, rejected)
        return gathered

    def _pictures(self, moment: Moment, rejected: list[Rejected]) -> list[tuple[Event, Pixels]]:
        """Decode an even choice of the frames; another one only where all of them are broken."""
        frames = moment.of(Modality.FRAME)
        chosen = evenly(frames, self._count(moment.effort))
        decoded = list(self._decoded(chosen, rejected))
        for event in frames:
            if event in chosen:
                continue
            if decoded:
                self._check(event, rejected)
            else:
                decoded.extend(self._decoded([event], rejected))
        return decoded

    def _count(self, effort: Effort) -> int:
        match effort:
            case Effort.FULL:
                return self._frames
            case Effort.FEWER_FRAMES:
                return (self._frames + 1) // 2
            case _:
                return 1

    def _waveform(
        self, moment: Moment, rejected: list[Rejected]
    ) -> tuple[list[Event], Samples] | None:
        """Decode clips until the longest one allowed, or the window, is filled; check the rest."""
        longest = max(self._limits.max_audio_seconds, (moment.end - moment.start) / MICROSECONDS)
        left = int(longest * SAMPLE_RATE)
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

    def _decoded(
        self, events: Iterable[Event], rejected: list[Rejected]
    ) -> Iterator[tuple[Event, Any]]:
        """Yield each event with its media; note those that are rejected."""
        for event in events:
            try:
                yield event, decode(event, self._limits, self._side)
            except InvalidEventError as error:
                rejected.append(Rejected(event, error.reason, error.message))

    def _check(self, event: Event, rejected: list[Rejected]) -> None:
        try:
            check(event, self._limits)
        except InvalidEventError as error:
            rejected.append(Rejected(event, error.reason, error.message))
