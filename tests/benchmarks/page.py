"""One page with plots of all results in a directory: `python -m tests.benchmarks.page out/bench`.

Every benchmark leaves a JSON file; what is there is drawn into `index.html`, which holds everything
it shows and needs no network.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

from tests.benchmarks.command import run
from tests.benchmarks.plots import SIDE, Curve, Plot, plotted
from worker.errors import OperatorError
from worker.report.page import environment, policy, stylesheet

PAGE = "index.html"
_TEMPLATES = Path(__file__).parent / "templates"

Document = Mapping[str, Any]


def main(
    directory: Annotated[Path, typer.Argument(help="Where the JSON files are.")] = Path(
        "out/bench"
    ),
) -> None:
    """Draw the results of a directory. Raises OperatorError where there are none."""
    typer.echo(f"Look at {write_page(directory)}")


def write_page(directory: Path) -> Path:
    """Write the page of a directory and return its path. Raises OperatorError."""
    found = {name: _read(directory / name) for name in SECTIONS if (directory / name).exists()}
    if not found:
        raise OperatorError(f"{directory} has none of {', '.join(SECTIONS)}: run make bench.")
    page = directory / PAGE
    page.write_text(render(found), encoding="utf-8")
    return page


def render(found: Mapping[str, Document]) -> str:
    """Return the page of documents by the names of their files; all text in it is escaped."""
    sections = [
        {"title": SECTIONS[name][0], "about": _about(each), "plots": SECTIONS[name][1](each)}
        for name, each in found.items()
    ]
    template = environment(_TEMPLATES).get_template("results.html.j2")
    return template.render(sections=sections, side=SIDE, css=stylesheet(), policy=policy())


def _read(path: Path) -> Document:
    try:
        document: Document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise OperatorError(f"{path} holds no results: {error}") from None
    return document


def _about(document: Document) -> str:
    machine, versions = document["machine"], document["versions"]
    scenario = document.get("scenario", {}).get("name", "")
    load = ", ".join(f"{each:.1f}" for each in machine["load_average"])
    told = f"{machine['processor']}, {machine['cores']} cores, load average {load}; commit"
    told += f" {document['commit']}, Python {versions['python']}"
    return f"Scenario {scenario}; {told}" if scenario else told


def _throughput(document: Document) -> list[Plot]:
    """Return what each contender took in each round, in CPU and on the clock."""
    rounds = document["rounds"]
    runs: dict[str, list[Document]] = {"bare loop": [each["bare"] for each in rounds]}
    runs["embedded log"] = [each["embedded"] for each in rounds]
    if all(each["kafka"] for each in rounds):
        runs["Kafka and Redis"] = [each["kafka"]["run"] for each in rounds]
    for name in rounds[0]["references"]:
        runs[name] = [each["references"][name] for each in rounds]
    return [
        _by_round("CPU of a Moment", "ms", runs, lambda r: 1000 * r["cpu_seconds"] / r["moments"]),
        _by_round("Moments per second", "1/s", runs, lambda r: r["moments"] / r["wall_seconds"]),
    ]


def _by_round(
    title: str,
    up: str,
    runs: Mapping[str, Sequence[Document]],
    figure: Callable[[Document], float],
) -> Plot:
    curves = [
        Curve(name, [(number + 1, figure(each)) for number, each in enumerate(every)])
        for name, every in runs.items()
    ]
    return plotted(title, "round", up, curves)


def _scale(document: Document) -> list[Plot]:
    points = document["points"]
    cpu = [(each["sources"], 1000 * each["cpu_seconds"] / each["moments"]) for each in points]
    peak = [(each["sources"], each["peak_bytes"] / 1e6) for each in points]
    return [
        plotted("CPU of a Moment", "sources", "ms", [Curve("worker", cpu)], logarithmic=True),
        plotted("Peak memory", "sources", "MB", [Curve("worker", peak)], logarithmic=True),
    ]


def _overload(document: Document) -> list[Plot]:
    rows = document["timeline"]
    delays = [(row["second"], row["delay"]) for row in rows if row["delay"] is not None]
    target = [(row["second"], document["target_seconds"]) for row in rows]
    judged = [(row["second"], row["moments"]) for row in rows]
    reduced = [(row["second"], row["reduced"]) for row in rows]
    return [
        plotted("Longest delay", "s", "s", [Curve("delay", delays), Curve("target", target)]),
        plotted("Moments", "s", "1/s", [Curve("all", judged), Curve("reduced", reduced)]),
    ]


def _workers(document: Document) -> list[Plot]:
    points = document["points"]
    counts = sorted({each["workers"] for each in points})

    def medians(figure: Callable[[Document], float]) -> list[tuple[float, float]]:
        return [(n, median(figure(p) for p in points if p["workers"] == n)) for n in counts]

    rates = medians(lambda each: each["moments"] / each["wall_seconds"])
    cpu = medians(lambda each: 1000 * each["cpu_seconds"] / each["moments"])
    cores = document["machine"]["cores"]
    even = [(n, rates[0][1] * min(n, cores) / counts[0]) for n in counts]
    most = f"as many times, up to {cores} cores"
    return [
        plotted(
            "Moments per second", "workers", "1/s", [Curve("workers", rates), Curve(most, even)]
        ),
        plotted("CPU of a Moment", "workers", "ms", [Curve("workers", cpu)]),
    ]


SECTIONS: Mapping[str, tuple[str, Callable[[Document], list[Plot]]]] = {
    "results.json": ("Throughput", _throughput),
    "scale.json": ("Number of sources", _scale),
    "overload.json": ("Overload", _overload),
    "workers.json": ("Number of workers", _workers),
}


if __name__ == "__main__":
    run(main, "page")
