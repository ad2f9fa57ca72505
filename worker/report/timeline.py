"""timeline.png: one row per camera over a common time axis, for people and for documents."""

from __future__ import annotations

import io
import warnings
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from worker.core import words
from worker.core.events import MODALITIES
from worker.core.rfc3339 import MICROSECONDS
from worker.report import series
from worker.report.model import CameraLine, Report

WIDTH = 1600  # pixels
DPI = 100
_WORD_SHARE = 0.045  # of the axis, that the word "medium" takes
MAX_NAME = 14  # characters of a camera's name that fit beside its row
_ROW_INCHES = 1.75
_FRAME_INCHES = 1.5  # title, axis and legend
_MAX_INCHES = 600  # Agg draws at most 65536 pixels
_INK, _MUTED, _LINE, _LABEL, _GREY = "#17202a", "#5b6672", "#1f5f99", "#0f766e", "#e7eaee"
_SEVERITY = {"low": "#e3ac2f", "medium": "#c2620f", "high": "#b2301c", "critical": "#6d1023"}
_TRACKS = {m.value: -0.31 - 0.125 * i for i, m in enumerate(MODALITIES)}  # below the score's zero
_FLOOR = -0.64


def timeline_png(report: Report) -> bytes:
    """Return a PNG, WIDTH pixels wide. Camera names may hold any text."""
    rows = max(1, len(report.cameras))
    height = _FRAME_INCHES + min(_ROW_INCHES * rows, _MAX_INCHES)
    figure = Figure(figsize=(WIDTH / DPI, height), dpi=DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    figure.subplots_adjust(
        left=0.105, right=0.982, top=1 - 0.62 / height, bottom=0.82 / height, hspace=0.14
    )
    _title(figure, report, height)
    span = series.extent(report.cameras)
    if span is None:
        _say_nothing(axes[0])
    else:
        names = words.cameras(camera.source for camera in report.cameras)
        for axis, camera in zip(axes, report.cameras, strict=True):
            _row(axis, camera, names[camera.source], span, report.origin)
        _time_axis(axes[-1], span, report.origin)
    _legend(figure, height)
    return _encoded(canvas)


def _encoded(canvas: Any) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings(), mpl.rc_context({"savefig.dpi": DPI}):
        # A camera's name may hold characters that the font lacks; a box stands for them.
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        canvas.print_png(out)
    return out.getvalue()


def _title(figure: Any, report: Report, height: float) -> None:
    figure.text(
        0.012,
        1 - 0.24 / height,
        words.encodable(report.title),
        size=15,
        weight="bold",
        color=_INK,
        va="center",
        parse_math=False,
    )
    figure.text(
        0.985,
        1 - 0.24 / height,
        words.encodable(report.subtitle),
        size=11,
        color=_MUTED,
        ha="right",
        va="center",
        parse_math=False,
    )


def _say_nothing(axis: Any) -> None:
    axis.set_axis_off()
    axis.text(0.5, 0.5, "No moment was seen.", ha="center", size=13, color=_MUTED)


def _row(axis: Any, camera: CameraLine, name: str, span: series.Extent, origin: int) -> None:
    axis.set_ylim(_FLOOR, 1.2)
    axis.set_yticks([0, 0.5, 1], ["0", "0.5", "1"], size=9, color=_MUTED)
    axis.tick_params(length=0, labelbottom=False)
    axis.spines[["top", "right", "bottom"]].set_visible(False)
    axis.spines["left"].set_color("#c9d0d7")
    axis.axhline(0, color="#c9d0d7", lw=0.8)
    axis.text(
        -0.032,
        0.62,
        _fitted(name),
        transform=axis.transAxes,
        ha="right",
        va="center",
        size=12,
        weight="bold",
        color=_INK,
        parse_math=False,
    )
    _spans(axis, camera, origin)
    _severities(axis, camera, span, origin)
    _score(axis, camera, origin)
    _tracks(axis, camera, origin)


def _fitted(name: str) -> str:
    text = words.encodable(name)
    return text if len(text) <= MAX_NAME else text[: MAX_NAME - 1] + "…"


def _spans(axis: Any, camera: CameraLine, origin: int) -> None:
    for run in series.warming_runs(camera):
        _box(axis, run.start, run.end, origin, (0, 1.0), facecolor=_GREY, lw=0)
    for alert in camera.alerts:
        colour = _SEVERITY.get(alert.severity, _INK)
        # The edge keeps an alert visible that is narrower than a pixel.
        style = {"facecolor": colour, "edgecolor": colour, "lw": 0.7}
        _box(axis, alert.start, alert.end, origin, (0, 1.0), alpha=0.25, **style)
        _box(axis, alert.start, alert.end, origin, (1.0, 0.05), **style)
    for label in camera.labels:
        axis.add_patch(
            _hatched(
                (label.start - origin) / MICROSECONDS, (label.end - label.start) / MICROSECONDS
            )
        )


def _severities(axis: Any, camera: CameraLine, span: series.Extent, origin: int) -> None:
    """Write the severity above each alert; where there is no room, above the most severe ones."""
    written: list[float] = []
    for alert in sorted(camera.alerts, key=lambda a: (-words.severity_rank(a.severity), a.start)):
        share = span.share(alert.start)
        if all(abs(share - other) >= _WORD_SHARE for other in written):
            written.append(share)
            x = (alert.start - origin) / MICROSECONDS
            axis.text(x, 1.08, alert.severity, size=8.5, color=_INK, parse_math=False)


def _hatched(x: float, width: float) -> Any:
    return mpl.patches.Rectangle(
        (x, -0.19), width, 0.13, facecolor="white", edgecolor=_LABEL, hatch="//////", lw=1.0
    )


def _box(
    axis: Any, start: int, end: int, origin: int, y_height: tuple[float, float], **style: Any
) -> None:
    axis.broken_barh([_seconds(start, end, origin)], y_height, **style)


def _seconds(start: int, end: int, origin: int) -> tuple[float, float]:
    """Return a span as its start from the origin and its length."""
    return (start - origin) / MICROSECONDS, (end - start) / MICROSECONDS


def _score(axis: Any, camera: CameraLine, origin: int) -> None:
    axis.axhline(camera.threshold, color=_INK, lw=1.0, ls=(0, (4, 3)))
    for stretch in series.scored_stretches(series.reduced(camera.points)):
        edges = [(point.start - origin) / MICROSECONDS for point in stretch]
        edges.append((stretch[-1].end - origin) / MICROSECONDS)
        scores = [point.score for point in stretch]
        axis.step(edges, [*scores, scores[-1]], where="post", color=_LINE, lw=1.6)


def _tracks(axis: Any, camera: CameraLine, origin: int) -> None:
    for name, stretches in series.missing_runs(camera).items():
        y = _TRACKS[name]
        spans = [_seconds(run.start, run.end, origin) for run in stretches]
        axis.broken_barh(spans, (y, 0.05), facecolor=_MUTED, edgecolor=_MUTED, lw=0.7)
        axis.text(
            -0.006,
            y + 0.025,
            f"no {words.modality(name)}",
            transform=axis.get_yaxis_transform(),
            ha="right",
            va="center",
            size=8,
            color=_MUTED,
        )


def _time_axis(axis: Any, span: series.Extent, origin: int) -> None:
    axis.set_xlim((span.start - origin) / MICROSECONDS, (span.end - origin) / MICROSECONDS)
    times = [time - origin for time in series.ticks(span, origin, at_most=13)]
    axis.set_xticks([t / MICROSECONDS for t in times], [words.clock(t) for t in times])
    axis.tick_params(axis="x", length=4, labelbottom=True, labelsize=10, labelcolor=_INK)
    if times and span.share(times[-1] + origin) > 0.98:
        axis.get_xticklabels()[-1].set_ha("right")
    axis.spines["bottom"].set_visible(True)
    axis.spines["bottom"].set_color("#c9d0d7")


def _legend(figure: Any, height: float) -> None:
    handles = [
        Line2D([], [], color=_LINE, lw=1.6, label="score"),
        Line2D([], [], color=_INK, lw=1.0, ls=(0, (4, 3)), label="threshold"),
        *(Patch(color=colour, label=f"{name} alert") for name, colour in _SEVERITY.items()),
        Patch(facecolor="white", edgecolor=_LABEL, hatch="//////", label="labelled event"),
        Patch(color=_GREY, label="warming up"),
        Patch(color=_MUTED, label="modality missing"),
    ]
    figure.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=(0.5, 0.1 / height),
        ncols=len(handles),
        frameon=False,
        fontsize=10,
        handlelength=1.6,
    )
