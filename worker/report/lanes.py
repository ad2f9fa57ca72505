"""Where everything of one camera lies on its inline SVG time line. Pure.

Widths are in percent, so that one drawing fits every screen; heights are in pixels. The score's
path lies in a box of PATH_WIDTH x PATH_HEIGHT that the page stretches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from worker.core import words
from worker.report import series
from worker.report.model import AlertSpan, CameraLine, LabelSpan, Point

PATH_WIDTH = 1000
PATH_HEIGHT = 100
FLAG_HEIGHT = 24
PLOT_HEIGHT = 76
LABEL_HEIGHT = 16
MISSING_HEIGHT = 13
PAD = 6
_FLAG_ROWS = 2
_FLAG_GAP = 10.0  # percent; nearer flags of one row would cover each other on a phone


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch on a lane: `x` and `width` in percent, `y` in pixels; `title` tells what it is."""

    x: float
    width: float
    y: int
    title: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Flag:
    """The mark of an alert, with the number of its story; `rank` is 1 (mildest) to 4."""

    x: float
    y: int
    number: int
    rank: int
    severity: str
    anchor: str
    title: str


@dataclass(frozen=True, slots=True)
class Lane:
    """The name beside a lane and the middle of its height."""

    name: str
    middle: int


@dataclass(frozen=True, slots=True)
class Lanes:
    """The drawing of one camera."""

    height: int
    plot_top: int
    line: str
    area: str
    threshold: float
    threshold_y: float
    alerts: tuple[Bar, ...]
    flags: tuple[Flag, ...]
    labels: tuple[Bar, ...]
    warming: tuple[Bar, ...]
    missing: tuple[Bar, ...]
    names: tuple[Lane, ...]
    summary: str


@dataclass(frozen=True, slots=True)
class Numbered:
    """What the drawing needs to know of an alert's story. `anchor` is empty where it has none."""

    number: int
    anchor: str


def lanes(
    camera: CameraLine,
    span: series.Extent,
    origin: int,
    numbers: Mapping[str, Numbered],
    *,
    label_lane: bool,
) -> Lanes:
    """Lay out one camera. `numbers` is by alert id; unknown alerts get a bar without a flag."""
    flags = _flags(camera, span, origin, numbers)
    plot_top = FLAG_HEIGHT * (max((flag.y for flag in flags), default=0) // FLAG_HEIGHT + 1)
    below = plot_top + PLOT_HEIGHT + PAD
    missing_top = below + (LABEL_HEIGHT if label_lane else 0)
    missing = series.missing_runs(camera)
    points = series.reduced(camera.points)
    return Lanes(
        height=missing_top + len(missing) * MISSING_HEIGHT,
        plot_top=plot_top,
        line=_path(points, span, closed=False),
        area=_path(points, span, closed=True),
        threshold=camera.threshold,
        threshold_y=plot_top + PLOT_HEIGHT * (1 - camera.threshold),
        alerts=tuple(_alert_bar(alert, span, plot_top, origin) for alert in camera.alerts),
        flags=flags,
        labels=_label_bars(camera, span, below, origin),
        warming=tuple(
            _bar(run, span, plot_top, "warming up: too little seen to judge")
            for run in series.warming_runs(camera)
        ),
        missing=_missing_bars(missing, span, missing_top, origin),
        names=_names(missing, below if label_lane else None, missing_top),
        summary=_summary(camera),
    )


def _names(missing: Iterable[str], labels_top: int | None, missing_top: int) -> tuple[Lane, ...]:
    labels = [] if labels_top is None else [Lane("labels", labels_top + LABEL_HEIGHT // 2 - 2)]
    return tuple(labels) + tuple(
        Lane(f"no {words.modality(name)}", missing_top + i * MISSING_HEIGHT + MISSING_HEIGHT // 2)
        for i, name in enumerate(missing)
    )


def _missing_bars(
    missing: Mapping[str, Sequence[series.Run]], span: series.Extent, top: int, origin: int
) -> tuple[Bar, ...]:
    return tuple(
        _bar(
            run,
            span,
            top + i * MISSING_HEIGHT,
            f"no {words.modality(name)} {_between(run, origin)}",
        )
        for i, (name, stretches) in enumerate(missing.items())
        for run in stretches
    )


def _bar(run: series.Run, span: series.Extent, y: int, title: str, kind: str = "") -> Bar:
    x = span.share(run.start) * 100
    return Bar(round(x, 3), round(max(0.15, span.share(run.end) * 100 - x), 3), y, title, kind)


def _between(run: series.Run, origin: int) -> str:
    return f"{words.clock(run.start - origin)} to {words.clock(run.end - origin)}"


def _alert_bar(alert: AlertSpan, span: series.Extent, y: int, origin: int) -> Bar:
    run = series.Run(alert.start, alert.end)
    title = f"{alert.severity} alert, {_between(run, origin)}"
    return _bar(run, span, y, title, f"sev-{words.severity_rank(alert.severity)}")


def _label_bars(camera: CameraLine, span: series.Extent, y: int, origin: int) -> tuple[Bar, ...]:
    return tuple(
        _label_bar(label, span, y, origin)
        for label in camera.labels
        if label.start < span.end and label.end > span.start
    )


def _label_bar(label: LabelSpan, span: series.Extent, y: int, origin: int) -> Bar:
    run = series.Run(label.start, label.end)
    kind = "natural" if label.natural else "injected"
    made = "real" if label.natural else "injected"
    what = f"{words.spaced(label.kind)} ({words.modality(label.modality)}, {made})"
    title = f"labelled: {what}, {_between(run, origin)}. {label.note}".strip()
    return _bar(run, span, y, title, kind)


def _flags(
    camera: CameraLine, span: series.Extent, origin: int, numbers: Mapping[str, Numbered]
) -> tuple[Flag, ...]:
    """Place the flags, the most severe first; where all rows are full an alert has only its bar."""
    rows: list[list[float]] = [[] for _ in range(_FLAG_ROWS)]
    placed: list[Flag] = []
    known = [alert for alert in camera.alerts if alert.alert_id in numbers]
    for alert in sorted(known, key=lambda a: (-words.severity_rank(a.severity), a.start)):
        x = round(span.share(alert.start) * 100, 3)
        row = next((i for i, taken in enumerate(rows) if _is_free(x, taken)), None)
        if row is not None:
            rows[row].append(x)
            placed.append(_flag(alert, numbers[alert.alert_id], x, row * FLAG_HEIGHT, origin))
    return tuple(sorted(placed, key=lambda flag: flag.number))


def _is_free(x: float, taken: Sequence[float]) -> bool:
    return all(abs(x - other) >= _FLAG_GAP for other in taken)


def _flag(alert: AlertSpan, known: Numbered, x: float, y: int, origin: int) -> Flag:
    return Flag(
        x=x,
        y=y,
        number=known.number,
        rank=words.severity_rank(alert.severity),
        severity=alert.severity,
        anchor=known.anchor,
        title=f"Alert {known.number}, {alert.severity}, at {words.clock(alert.start - origin)}",
    )


def _path(points: Sequence[Point], span: series.Extent, *, closed: bool) -> str:
    """Return the steps of the score as SVG path commands; with `closed` as areas down to zero."""
    return "".join(_steps(s, span, closed=closed) for s in series.scored_stretches(points))


def _steps(stretch: Sequence[Point], span: series.Extent, *, closed: bool) -> str:
    first = span.share(stretch[0].start) * PATH_WIDTH
    steps = "".join(
        f"V{(1 - (point.score or 0.0)) * PATH_HEIGHT:.1f}H{span.share(point.end) * PATH_WIDTH:.1f}"
        for point in stretch
    )
    if closed:
        return f"M{first:.1f} {PATH_HEIGHT}{steps}V{PATH_HEIGHT}Z"
    return f"M{first:.1f} {(1 - (stretch[0].score or 0.0)) * PATH_HEIGHT:.1f}{steps}"


def _summary(camera: CameraLine) -> str:
    """Return what the drawing shows, for those who do not see it."""
    scores = [point.score for point in camera.points if point.score is not None]
    highest = f"highest score {max(scores):.2f}" if scores else "no moment was judged"
    return (
        f"{words.camera(camera.source)}: {len(camera.points)} moments, {highest}, threshold "
        f"{camera.threshold:.2f}, {len(camera.alerts)} alerts, {len(camera.labels)} labelled events"
    )
