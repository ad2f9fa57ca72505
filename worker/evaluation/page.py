"""evaluation.html: the numbers as one page, in the style of the report, that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from worker.core.rfc3339 import MICROSECONDS
from worker.evaluation.bootstrap import Interval
from worker.evaluation.evaluate import Evaluation
from worker.report.page import environment, policy, stylesheet

SIDE = 300  # of a plot, in its own units
MAX_POINTS = 500  # of a curve


def render(evaluation: Evaluation, subtitle: str) -> str:
    """Return the page; all text in it is escaped."""
    template = environment(Path(__file__).parent / "templates").get_template("evaluation.html.j2")
    runs = evaluation.runs
    return template.render(
        evaluation=evaluation,
        subtitle=subtitle,
        block_seconds=evaluation.settings.block / MICROSECONDS,
        side=SIDE,
        plots=[
            ("ROC", "false-positive rate", "true-positive rate", [path(run.roc) for run in runs]),
            ("Precision and recall", "recall", "precision", [path(run.pr) for run in runs]),
        ],
        told=told,
        css=stylesheet(),
        policy=policy(),
    )


def told(number: Interval | float | None) -> str:
    """Return a number as text, with its interval where it has one.

    >>> told(Interval(0.9123, 0.8, 0.95)), told(0.5), told(None)
    ('0.912 (0.800..0.950)', '0.500', '-')
    """
    if number is None:
        return "-"
    if isinstance(number, float):
        return f"{number:.3f}"
    if number.low is None or number.high is None:
        return f"{number.value:.3f}"
    return f"{number.value:.3f} ({number.low:.3f}..{number.high:.3f})"


def path(points: Sequence[tuple[float, float]]) -> str:
    """Return the points of a polyline, the origin at the bottom left.

    >>> path([(0, 0), (0.5, 1)])
    '0.0,300.0 150.0,0.0'
    """
    step = max(1, -(-len(points) // MAX_POINTS))
    kept = [*points[:-1:step], *points[-1:]]
    return " ".join(f"{SIDE * x:.1f},{SIDE * (1 - y):.1f}" for x, y in kept)
