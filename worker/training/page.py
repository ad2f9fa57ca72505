"""fit.html: loss curves, balance of modalities, calibration and confusion, without a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from worker.evaluation.page import SIDE, path
from worker.report.page import environment, policy, stylesheet
from worker.training.dataset import UNLABELLED, Dataset
from worker.training.loop import STAGES
from worker.training.measures import Measures

Entry = Mapping[str, Any]  # what was noted of an epoch


class Line(NamedTuple):
    """A curve: its name and the points of its polyline."""

    name: str
    points: str


class Plot(NamedTuple):
    """A figure with both axes named; `bottom` and `top` are the values at its edges."""

    title: str
    across: str
    up: str
    bottom: float
    top: float
    right: float
    lines: tuple[Line, ...]


def render(data: Dataset, measures: Measures, history: Sequence[Entry], origin: str) -> str:
    """Return the page; all text in it is escaped."""
    template = environment(Path(__file__).parent / "templates").get_template("fit.html.j2")
    return template.render(
        data=data,
        labelled=int((data.label != UNLABELLED).sum()),
        held_out=int(data.held_out.sum()),
        measures=measures,
        origin=origin,
        plots=[*_losses(history), _balance(history), _reliability(measures)],
        side=SIDE,
        css=stylesheet(),
        policy=policy(),
    )


def _losses(history: Sequence[Entry]) -> list[Plot]:
    """Return a plot for each stage that had epochs."""
    plots = []
    for stage in STAGES:
        epochs = [each for each in history if each["stage"] == stage]
        if epochs:
            curves = {
                "trained on": [sum(each["trained"].values()) for each in epochs],
                "held out": [sum(each["held_out"].values()) for each in epochs],
            }
            plots.append(_plot(f"Loss, stage {stage}", "loss", curves))
    return plots


def _balance(history: Sequence[Entry]) -> Plot:
    epochs = [each["contributions"] for each in history if each["stage"] == STAGES[-1]]
    names = list(epochs[0]) if epochs else []
    curves = {name: [each[name] for each in epochs] for name in names}
    return _plot("What each modality adds", "1 - cosine without it", curves)


def _plot(title: str, up: str, curves: Mapping[str, Sequence[float]]) -> Plot:
    values = [value for curve in curves.values() for value in curve]
    bottom, top = min(values, default=0.0), max(values, default=1.0)
    last = max(map(len, curves.values()), default=1)
    scaled = _scaled(bottom, top)
    lines = tuple(
        Line(name, path([(place / max(1, last - 1), scaled(y)) for place, y in enumerate(curve)]))
        for name, curve in curves.items()
    )
    return Plot(title, "epoch", up, bottom, top, last, lines)


def _scaled(bottom: float, top: float) -> Callable[[float], float]:
    span = max(top - bottom, 1e-12)
    return lambda value: (value - bottom) / span


def _reliability(measures: Measures) -> Plot:
    lines = [Line("perfect", path([(0, 0), (1, 1)]))]
    for name, found in measures.reliability.items():
        lines.append(Line(name, path([(told, true) for told, true, _ in found.bins])))
    return Plot("Calibration", "confidence", "share that was right", 0, 1, 1, tuple(lines))
