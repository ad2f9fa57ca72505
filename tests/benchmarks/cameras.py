"""Many cameras in real time: the quiet part of the plaza, over and over, with covered lenses."""

from __future__ import annotations

import heapq
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from PIL import Image as PillowImage

from tests.benchmarks.backlog import marked
from tests.chaos.stream import sources
from worker.core.events import Modality
from worker.core.rfc3339 import seconds
from worker.demo import scene
from worker.demo.injections import cover_lens
from worker.feed.events import FeedEvent
from worker.feed.video import encode_jpeg

LOOP_SECONDS = 30  # of the scene: nothing unusual happens, and no modality is missing
COVERED_SECONDS = 3
_COVERED_PICTURES = 5  # of each camera, one after the other


@dataclass(frozen=True, slots=True)
class Plan:
    """When lenses are covered: every `period` seconds from `first` on, up to `last`.

    Sources take turns within the period.
    """

    sources: int
    first: float
    period: float
    last: float

    def covered(self, source: int, second: float) -> float | None:
        """Return when the lens was covered, where it is at `second`; both from the start."""
        begin = self.first + self.period * source / self.sources
        since = second - begin
        if since < 0:
            return None
        began = begin + since // self.period * self.period
        return began if second - began < COVERED_SECONDS and began < self.last else None


class CoveredFrame(NamedTuple):
    """The time of a frame, and that of the first one of its injection; microseconds."""

    time: int
    began: int


class Cameras:
    """All of them, by `names`. `covered` are the frames of injections by source and id."""

    def __init__(self, plan: Plan, partitions: int) -> None:
        self.covered: dict[tuple[str, str], CoveredFrame] = {}
        self._plan = plan
        self.names = sources(plan.sources, partitions)
        played = list(scene.events(scene.load(), 0, until_s=LOOP_SECONDS, inject=False))
        views = list(dict.fromkeys(event.source for event in played))
        self._views = [[event for event in played if event.source == view] for view in views]
        self._pictures = [_covered_pictures(events) for events in self._views]

    def events(self, start: int) -> Iterator[FeedEvent]:
        """Yield events for ever, in order of time, from `start` on."""
        streams = []
        for number, name in enumerate(self.names):
            view = number % len(self._views)
            shifted = start + seconds(number / len(self.names))  # no two in step
            stream = _looped(self._views[view], name, shifted)
            streams.append(self._injected(stream, number, start, self._pictures[view]))
        return heapq.merge(*streams, key=attrgetter("time"))

    @property
    def injections(self) -> set[tuple[str, int]]:
        """The injections so far: source and time."""
        return {(source, frame.began) for (source, _), frame in self.covered.items()}

    def _injected(
        self, stream: Iterator[FeedEvent], number: int, start: int, pictures: Sequence[bytes]
    ) -> Iterator[FeedEvent]:
        latest: tuple[float | None, int] = (None, 0)
        for count, event in enumerate(stream):
            began = None
            if event.modality is Modality.FRAME:
                began = self._plan.covered(number, (event.time - start) / seconds(1))
            if began is None:
                yield event
                continue
            if latest[0] != began:
                latest = began, event.time
            self.covered[event.source, event.id] = CoveredFrame(event.time, latest[1])
            payload = marked(replace(event, payload=pictures[count % len(pictures)]), count)
            yield replace(event, payload=payload)


def _looped(events: Sequence[FeedEvent], source: str, start: int) -> Iterator[FeedEvent]:
    """Yield the events again and again, with other bytes each time: no cache knows them yet."""
    take = 0
    while True:
        for event in events:
            yield replace(
                event,
                source=source,
                id=f"{event.id}-{take}",
                time=start + event.time + take * seconds(LOOP_SECONDS),
                payload=marked(event, _remark_of(source, take)),
            )
        take += 1


def _remark_of(source: str, take: int) -> int:
    """Return a number that is another one for each source and take."""
    return take * 1000 + int(source.rpartition("/")[2]) % 1000


def _covered_pictures(events: Sequence[FeedEvent]) -> list[bytes]:
    frames = [event.payload for event in events if event.modality is Modality.FRAME]
    return [
        encode_jpeg(cover_lens(np.asarray(PillowImage.open(io.BytesIO(payload)))))
        for payload in frames[:_COVERED_PICTURES]
    ]
