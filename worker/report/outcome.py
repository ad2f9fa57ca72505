"""The first thing that a reader sees: what was found, what was missed, what is not judged yet."""

from __future__ import annotations

import shlex
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from worker.core import words
from worker.core.policy import Severity
from worker.core.rfc3339 import MICROSECONDS
from worker.report.model import CameraLine, LabelOutcome, Report

_PARTS = ("paired", "late", "duplicate", "dead_letter", "buffered")


@dataclass(frozen=True, slots=True)
class Tile:
    """One number of the outcome. `tone` is `good`, `bad` or empty."""

    name: str
    value: str
    of: str
    note: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The headline and its numbers.

    `warming` names the cameras that are not judged yet, and says how far they are; `drifting` are
    those that do not look as they used to; `quiet` says why there may be no alert.
    """

    headline: str
    tiles: tuple[Tile, ...]
    warming: tuple[str, ...]
    drifting: tuple[Drifting, ...]
    quiet: str


@dataclass(frozen=True, slots=True)
class Drifting:
    """A camera whose p-values stay small though it had no alert, and what a person may do then."""

    name: str
    command: str


def outcome_of(report: Report) -> Outcome:
    """Summarise the report."""
    tiles = [_alerts(report), _found(report.outcomes), _false_alarms(report), _judged(report)]
    if report.counts:
        tiles.append(_events(report))
    names = words.cameras(camera.source for camera in report.cameras)
    warming = tuple(names[c.source] + _progress(c) for c in report.cameras if is_warming_up(c))
    drifting = tuple(
        Drifting(names[c.source], f"mmworker learn-anew {shlex.quote(c.source)}")
        for c in report.cameras
        if c.points and c.points[-1].drifting and not c.alerts
    )
    shown = tuple(tile for tile in tiles if tile is not None)
    return Outcome(_headline(report), shown, warming, drifting, _quiet(report))


def is_warming_up(camera: CameraLine) -> bool:
    """Tell whether the camera's last Moment was not judged because too little had been seen."""
    return bool(camera.points) and camera.points[-1].warming_up


def counted(number: int, noun: str) -> str:
    """Return the number with its noun.

    >>> counted(0, "alert"), counted(1, "alert"), counted(2, "alert")
    ('No alerts', '1 alert', '2 alerts')
    """
    return f"{words.whole(number) if number else 'No'} {noun}{'' if number == 1 else 's'}"


def _progress(camera: CameraLine) -> str:
    warmup = camera.points[-1].warmup
    return "" if warmup is None else f" ({warmup.have} of {warmup.need} moments)"


def _headline(report: Report) -> str:
    cameras = f"{words.whole(len(report.cameras))} camera{'' if len(report.cameras) == 1 else 's'}"
    parts = [f"{counted(len(report.alerts), 'alert')} on {cameras}"]
    if report.outcomes:
        hits = sum(outcome.hit for outcome in report.outcomes)
        parts.append(f"{hits} of {counted(len(report.outcomes), 'labelled event')} found")
    if report.false_alarms is not None:
        parts.append(counted(report.false_alarms, "false alarm").lower())
    return ", ".join(parts) + "."


def _quiet(report: Report) -> str:
    margins = [
        point.score - camera.threshold
        for camera in report.cameras
        for point in camera.points
        if point.score is not None
    ]
    over = sum(margin >= 0 for margin in margins)
    if not margins:
        return "No alert, because no moment was judged."
    if not over:
        return "No alert. Every judged moment stayed below its threshold."
    were = "moment was" if over == 1 else "moments were"
    return f"No alert. {words.whole(over)} {were} above the threshold, too briefly for an alert."


def _alerts(report: Report) -> Tile:
    by_severity = Counter(alert.severity for alert in report.alerts)
    note = ", ".join(f"{by_severity[s]} {s}" for s in reversed(Severity) if by_severity[s])
    return Tile("Alerts", words.whole(len(report.alerts)), "", note or "none was raised")


def _found(outcomes: Sequence[LabelOutcome]) -> Tile | None:
    if not outcomes:
        return None
    hits = [outcome for outcome in outcomes if outcome.hit]
    delays = [o.seconds_to_detect for o in hits if o.seconds_to_detect is not None]
    note = "by any alert"
    if delays:
        note = f"half of them within {words.duration(statistics.median(delays))}"
    tone = "good" if len(hits) == len(outcomes) else ""
    return Tile("Labelled events found", str(len(hits)), f"of {len(outcomes)}", note, tone)


def _false_alarms(report: Report) -> Tile | None:
    if report.false_alarms is None:
        return None
    judged = sum(p.end - p.start for c in report.cameras for p in c.points if p.score is not None)
    note = f"in {words.duration(judged / MICROSECONDS)} of judged camera time"
    tone = "" if report.false_alarms else "good"
    return Tile("False alarms", words.whole(report.false_alarms), "", note, tone)


def _judged(report: Report) -> Tile:
    points = [point for camera in report.cameras for point in camera.points]
    judged = sum(point.score is not None for point in points)
    warming = sum(point.warming_up for point in points)
    note = f"{words.whole(warming)} while warming up" if warming else "no camera was warming up"
    return Tile("Moments judged", words.whole(judged), f"of {words.whole(len(points))}", note)


def _events(report: Report) -> Tile:
    consumed = report.counts.get("consumed", 0)
    placed = sum(report.counts.get(part, 0) for part in _PARTS)
    ok = bool(report.counts.get("reconciled", placed == consumed))
    note = "every event is in one place" if ok else "the counts do not add up"
    of = f"of {words.whole(consumed)}"
    return Tile("Events accounted for", words.whole(placed), of, note, "good" if ok else "bad")
