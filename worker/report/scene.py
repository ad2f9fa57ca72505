"""The time lines of all cameras, ready to be drawn."""

from __future__ import annotations

from dataclasses import dataclass

from worker.core import words
from worker.core.rfc3339 import MICROSECONDS
from worker.report import series
from worker.report.lanes import Lanes, lanes
from worker.report.model import CameraLine, Report
from worker.report.outcome import is_warming_up
from worker.report.stories import Stories

_MAX_TICKS = 7  # so many labels fit on a phone


@dataclass(frozen=True, slots=True)
class Tick:
    """A time on the common axis: `x` in percent."""

    x: float
    text: str
    edge: str  # `start` or `end` where the text must not be centred


@dataclass(frozen=True, slots=True)
class CameraView:
    """One row: its name, drawing and facts; `cursor` are (start seconds, end seconds, score)."""

    name: str
    source: str
    lanes: Lanes
    highest: float | None
    alerts: int
    warming_up: bool
    cursor: tuple[tuple[float, float, float | None], ...]


@dataclass(frozen=True, slots=True)
class Scene:
    """All rows over one axis; `start` and `end` in seconds from the origin."""

    start: float
    end: float
    ticks: tuple[Tick, ...]
    cameras: tuple[CameraView, ...]
    merged: int  # Moments that one step may stand for
    crowded: bool  # whether some alerts have no flag


def scene_of(report: Report, stories: Stories) -> Scene | None:
    """Lay out all cameras; None where no Moment was seen."""
    span = series.extent(report.cameras)
    if span is None:
        return None
    names = words.cameras(camera.source for camera in report.cameras)
    numbers = stories.numbers()
    labelled = any(camera.labels for camera in report.cameras)
    views = tuple(
        _view(
            camera,
            names[camera.source],
            report.origin,
            lanes(camera, span, report.origin, numbers, label_lane=labelled),
        )
        for camera in report.cameras
    )
    longest = max(len(camera.points) for camera in report.cameras)
    return Scene(
        start=_seconds(span.start, report.origin),
        end=_seconds(span.end, report.origin),
        ticks=_ticks(span, report.origin),
        cameras=views,
        crowded=any(len(view.lanes.flags) < view.alerts for view in views),
        merged=max(1, -(-longest // series.MAX_STEPS)),
    )


def _view(camera: CameraLine, name: str, origin: int, drawing: Lanes) -> CameraView:
    points = series.reduced(camera.points)
    scores = [point.score for point in points if point.score is not None]
    return CameraView(
        name=name,
        source=camera.source,
        lanes=drawing,
        highest=max(scores, default=None),
        alerts=len(camera.alerts),
        warming_up=is_warming_up(camera),
        cursor=tuple(
            (
                _seconds(point.start, origin),
                _seconds(point.end, origin),
                None if point.score is None else round(point.score, 3),
            )
            for point in points
        ),
    )


def _ticks(span: series.Extent, origin: int) -> tuple[Tick, ...]:
    times = series.ticks(span, origin, at_most=_MAX_TICKS)
    shares = [span.share(time) for time in times]
    return tuple(
        Tick(round(share * 100, 3), words.clock(time - origin), _edge(share))
        for time, share in zip(times, shares, strict=True)
    )


def _edge(share: float) -> str:
    if share < 0.02:
        return "start"
    return "end" if share > 0.98 else "middle"


def _seconds(time: int, origin: int) -> float:
    return round((time - origin) / MICROSECONDS, 3)
