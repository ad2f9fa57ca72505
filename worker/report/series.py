"""What both time lines draw: extent, ticks, runs and a bounded number of steps. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from worker.core.events import MODALITIES
from worker.core.rfc3339 import MICROSECONDS
from worker.report.model import AlertSpan, CameraLine, Point

MAX_STEPS = 1200  # per camera; more would be narrower than a pixel
_TICK_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600)
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Extent:
    """The time `[start, end)` that all cameras share."""

    start: int
    end: int

    def share(self, time: int) -> float:
        """Return where a time lies, 0 at the start and 1 at the end; clipped to that."""
        return min(1.0, max(0.0, (time - self.start) / (self.end - self.start)))


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch `[start, end)` of Moments in a row with something in common."""

    start: int
    end: int


def extent(cameras: Iterable[CameraLine]) -> Extent | None:
    """Return the time that the cameras' Moments and alerts cover; None where there are none."""
    spans: list[Point | AlertSpan] = []
    for camera in cameras:
        spans += [*camera.points, *camera.alerts]
    if not spans:
        return None
    start, end = min(span.start for span in spans), max(span.end for span in spans)
    return Extent(start, max(start + MICROSECONDS, end))


def ticks(span: Extent, origin: int, at_most: int) -> list[int]:
    """Return round times, counted from `origin`, inside the extent: at most `at_most` of them."""
    length = (span.end - span.start) / MICROSECONDS
    days = max(1, -(-int(length) // (_DAY * max(1, at_most - 1))))
    fitting = (step for step in _TICK_SECONDS if length / step <= at_most - 1)
    step = next(fitting, days * _DAY) * MICROSECONDS
    first = origin + -(-(span.start - origin) // step) * step
    return list(range(first, span.end + 1, step))


def reduced(points: Sequence[Point], at_most: int = MAX_STEPS) -> tuple[Point, ...]:
    """Return at most `at_most` points; each keeps the highest score of those that it stands for.

    Nothing is hidden by it: what is missing in one of them is missing in the whole.
    """
    size = -(-len(points) // at_most)
    if size <= 1:
        return tuple(points)
    return tuple(_merged(points[i : i + size]) for i in range(0, len(points), size))


def _merged(points: Sequence[Point]) -> Point:
    scores = [point.score for point in points if point.score is not None]
    return Point(
        start=points[0].start,
        end=points[-1].end,
        score=max(scores, default=None),
        warming_up=all(point.warming_up for point in points),
        missing=tuple(m for m in MODALITIES if any(m in point.missing for point in points)),
        carried=tuple(m for m in MODALITIES if any(m in point.carried for point in points)),
        closed_by=points[-1].closed_by,
    )


def runs(points: Iterable[Point]) -> list[Run]:
    """Return the stretches that the points cover, joined where one begins as another ends."""
    joined: list[Run] = []
    for point in points:
        if joined and point.start <= joined[-1].end:
            joined[-1] = Run(joined[-1].start, max(joined[-1].end, point.end))
        else:
            joined.append(Run(point.start, point.end))
    return joined


def warming_runs(camera: CameraLine) -> list[Run]:
    """Return where the camera was warming up."""
    return runs(point for point in reduced(camera.points) if point.warming_up)


def missing_runs(camera: CameraLine) -> dict[str, list[Run]]:
    """Return where each modality was missing; only modalities that were."""
    points = reduced(camera.points)
    found = {m.value: runs(p for p in points if m in p.missing) for m in MODALITIES}
    return {name: stretches for name, stretches in found.items() if stretches}


def scored_stretches(points: Sequence[Point]) -> Iterator[list[Point]]:
    """Yield the stretches of judged Moments without a gap between them."""
    judged = [point for point in points if point.score is not None]
    if not judged:
        return
    stretch = [judged[0]]
    for before, point in pairwise(judged):
        if point.start > before.end:
            yield stretch
            stretch = []
        stretch.append(point)
    yield stretch
