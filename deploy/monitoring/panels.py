"""What a panel of the dashboard is made of, and the expressions that panels share.

Expressions are about the jobs and instances that are chosen on the dashboard.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

RATE = "$__rate_interval"
_JOB = 'job=~"$job"'
_EACH = f'{_JOB},instance=~"$instance"'


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: a question, with its expressions by what a legend calls their series.

    `runbook` is the heading under which the runbook says what to do about it. `red_above`: from
    where on the value of a number, or a line, is bad.
    """

    title: str
    kind: Literal["number", "lines", "bars"]
    unit: str
    queries: Mapping[str, str]
    runbook: str
    description: str
    red_above: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


def number(
    title: str,
    unit: str,
    expr: str,
    runbook: str,
    description: str,
    red_above: float | None = None,
) -> Panel:
    """Return a panel with one large number."""
    return Panel(title, "number", unit, {"": expr}, runbook, description, red_above)


def lines(
    title: str,
    unit: str,
    queries: Mapping[str, str],
    runbook: str,
    description: str,
    red_above: float | None = None,
) -> Panel:
    """Return a panel with lines over time."""
    return Panel(title, "lines", unit, queries, runbook, description, red_above)


def rates(
    title: str, counter: str, by: str, runbook: str, unit: str = "cps", description: str = ""
) -> Panel:
    """Return a panel with the rates of a counter, a line for each value of its labels `by`."""
    legend = " ".join(f"{{{{{label}}}}}" for label in by.split(", "))
    expr = f"sum by ({by}) (rate({of_each(counter)}[{RATE}]))"
    return lines(title, unit, {legend: expr}, runbook, description or f"Per second, by {by}.")


def of_job(metric: str) -> str:
    """Return the series of the chosen jobs.

    >>> of_job("up")
    'up{job=~"$job"}'
    """
    return f"{metric}{{{_JOB}}}"


def of_each(metric: str, where: str = "") -> str:
    """Return the series of the chosen instances, less those for which `where` does not hold."""
    return f"{metric}{{{_EACH}{',' if where else ''}{where}}}"


def summed(metric: str, by: str) -> str:
    """Return the sum over the chosen instances for each value of the labels `by`."""
    return f"sum by ({by}) ({of_each(metric)})"


def quantile(share: float, histogram: str, by: str, where: str = "") -> str:
    """Return the value that a share of the recent ones does not exceed."""
    buckets = of_each(f"{histogram}_bucket", where)
    return f"histogram_quantile({share}, sum by (le, {by}) (rate({buckets}[{RATE}])))"
