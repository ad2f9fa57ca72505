"""Curves to the points of polylines in a square."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from worker.evaluation.page import SIDE, path

__all__ = ["SIDE", "Curve", "Line", "Plot", "plotted"]

Points = Sequence[tuple[float, float]]


class Curve(NamedTuple):
    """Values over values, in the order in which they are joined."""

    name: str
    points: Points


class Line(NamedTuple):
    """A curve as a polyline; `dots` are its points in units of the square."""

    name: str
    polyline: str
    dots: tuple[tuple[float, float], ...]


class Plot(NamedTuple):
    """A figure with both axes named, and the values at its edges. Upwards it begins at 0."""

    title: str
    across: str
    up: str
    left: float
    right: float
    top: float
    lines: tuple[Line, ...]


def plotted(
    title: str, across: str, up: str, curves: Sequence[Curve], *, logarithmic: bool = False
) -> Plot:
    """Lay curves out together; `logarithmic` is the axis across, whose values are then above 0.

    >>> plot = plotted("t", "x", "y", [Curve("c", [(1, 0), (3, 2)])])
    >>> plot.lines[0].polyline, plot.top
    ('0.0,300.0 300.0,0.0', 2)
    """
    every = [point for curve in curves for point in curve.points] or [(1.0, 1.0)]
    left, right = min(x for x, _ in every), max(x for x, _ in every)
    top = max(y for _, y in every)

    def share(x: float) -> float:
        if left == right:
            return 0.5
        if logarithmic:
            return math.log(x / left) / math.log(right / left)
        return (x - left) / (right - left)

    scaled = [[(share(x), y / (top or 1.0)) for x, y in curve.points] for curve in curves]
    lines = tuple(
        Line(curve.name, path(points), tuple((SIDE * x, SIDE * (1 - y)) for x, y in points))
        for curve, points in zip(curves, scaled, strict=True)
    )
    return Plot(title, across, up, left, right, top, lines)
