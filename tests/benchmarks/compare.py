"""Two results of one benchmark: `python -m tests.benchmarks.compare A.json B.json`.

Runs of different hours meet different neighbours, so of throughput each round's ratio to the bare
loop of the same round is compared, as CPU time and on the clock. The interval is a percentile
bootstrap over rounds (Efron and Tibshirani, 1993), with a fixed seed. Scale, workers and overload
have no such yardstick: there CPU time tells more than the clock.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from tests.benchmarks.command import run
from worker.errors import OperatorError

RESAMPLES = 10_000
LEVEL = 0.95

Round = Mapping[str, Any]


class Interval(NamedTuple):
    """B's median over A's, and where it lies with a probability of 95%: wide with few rounds."""

    ratio: float
    low: float
    high: float


def rate(of: Mapping[str, Any]) -> float:
    """Return Moments per second."""
    return float(of["moments"]) / float(of["wall_seconds"])


def thrift(of: Mapping[str, Any]) -> float:
    """Return Moments per CPU second."""
    return float(of["moments"]) / float(of["cpu_seconds"])


def share(run_of: Callable[[Round], Any], figure: Callable[[Any], float]) -> Callable[..., float]:
    """Return what reads a round's figure as a share of the bare loop's."""
    return lambda each: figure(run_of(each)) / figure(each["bare"])


FIGURES: Mapping[str, Callable[[Round], float]] = {
    "embedded log, rate to the bare loop": share(lambda each: each["embedded"], rate),
    "embedded log, CPU to the bare loop": share(lambda each: each["embedded"], thrift),
    "Kafka and Redis, rate to the bare loop": share(lambda each: each["kafka"]["run"], rate),
    "Kafka and Redis, CPU to the bare loop": share(lambda each: each["kafka"]["run"], thrift),
}


def main(
    a: Annotated[Path, typer.Argument(help="results.json of one commit.")],
    b: Annotated[Path, typer.Argument(help="results.json of the other one.")],
) -> None:
    """Tell how B differs from A; above 1 B is better."""
    first, second = _read(a), _read(b)
    ours, theirs = figures_of(first), figures_of(second)
    shared = [name for name in ours if name in theirs]
    if not shared:
        raise OperatorError(f"{a} and {b} have no figure in common")
    table = Table("", "B / A", "95%", title=f"{first['commit']} -> {second['commit']}")
    for name in shared:
        found = compared(ours[name], theirs[name])
        table.add_row(name, f"{found.ratio:.3f}", f"{found.low:.3f}..{found.high:.3f}")
    Console().print(table)


def figures_of(document: Mapping[str, Any]) -> dict[str, list[float]]:
    """Return the figures of a result, each of all rounds; higher is better.

    Raises LookupError and TypeError for what is no result.
    """
    if "rounds" in document:
        rounds = document["rounds"]
        has_kafka = all(each["kafka"] for each in rounds)
        return {
            name: [figure(each) for each in rounds]
            for name, figure in FIGURES.items()
            if has_kafka or "embedded" in name
        }
    if "phases" in document:
        phases = document["phases"].items()
        return {
            f"{name}, inverse of the longest delay": [1 / phase["longest_delay_seconds"]]
            for name, phase in phases
            if phase["longest_delay_seconds"]
        }
    found: dict[str, list[float]] = {}
    of = "sources" if "sources" in document["points"][0] else "workers"
    for point in document["points"]:
        found.setdefault(f"{point[of]} {of}, CPU", []).append(thrift(point))
        if of == "workers":
            found.setdefault(f"{point[of]} {of}, rate", []).append(rate(point))
        memory = 1 / point["peak_bytes"]
        found.setdefault(f"{point[of]} {of}, inverse of peak memory", []).append(memory)
    return found


def compared(a: Sequence[float], b: Sequence[float]) -> Interval:
    """Return the ratio of the medians with its interval.

    >>> compared([1.0, 1.0], [2.0, 2.0])
    Interval(ratio=2.0, low=2.0, high=2.0)
    """
    random = np.random.default_rng(0)
    medians = [
        np.median(random.choice(np.array(each), (RESAMPLES, len(each))), axis=1) for each in (a, b)
    ]
    low, high = np.quantile(medians[1] / medians[0], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(np.median(b) / np.median(a)), float(low), float(high))


def _read(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
        figures_of(document)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise OperatorError(f"{path} is no result of make bench: {error!r}") from error
    return document


if __name__ == "__main__":
    run(main, "compare")
