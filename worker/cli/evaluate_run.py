"""Reads runs and labels, measures, writes and prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from worker.cli.consoles import table_console
from worker.cli.observed import from_file
from worker.config import Config
from worker.core.rfc3339 import seconds
from worker.errors import OperatorError
from worker.evaluation.evaluate import Evaluation, Settings, evaluate
from worker.evaluation.labels import read_labels
from worker.evaluation.moments import judged
from worker.evaluation.page import render, told
from worker.report.write import replace_file
from worker.runtime.policies import budget

PAGE, NUMBERS = "evaluation.html", "evaluation.json"


@dataclass(frozen=True, slots=True)
class How:
    """The bootstrap: seconds of a block, how many resamples, their seed."""

    block_seconds: float
    resamples: int
    seed: int


def run_evaluation(
    config: Config, paths: Sequence[Path], labels: Path, output: Path, how: How, *, as_json: bool
) -> None:
    """Measure, write, print. Raises OperatorError."""
    found = read_labels(labels)
    runs = {name: judged(from_file(path)) for name, path in zip(_names(paths), paths, strict=True)}
    settings = Settings(
        budget=budget(config),
        false_alarms_per_day=config.scoring.false_alarms_per_day,
        block=seconds(how.block_seconds),
        resamples=how.resamples,
        seed=how.seed,
    )
    evaluation = evaluate(runs, found, settings)
    document = json.dumps(evaluation.document(), indent=2, ensure_ascii=False) + "\n"
    replace_file(output / NUMBERS, document.encode())
    replace_file(output / PAGE, render(evaluation, f"against {labels.name}").encode())
    if as_json:
        typer.echo(document, nl=False)
    else:
        _print(evaluation, output)


def _names(paths: Sequence[Path]) -> list[str]:
    """Return what tells the files apart: the directory that a run was written to, else the file."""
    if len(set(map(Path.resolve, paths))) < len(paths):
        raise OperatorError("a file of Observations was given twice.")
    parents = [path.resolve().parent.name for path in paths]
    return parents if len(set(parents)) == len(paths) else list(map(str, paths))


def _print(evaluation: Evaluation, output: Path) -> None:
    console = table_console()
    table = Table(
        *("run", "AUROC", "AP", "recall at budget", "events", "median s", "false alarms"),
        box=box.SIMPLE_HEAD,
    )
    for run in evaluation.runs:
        whole = run.whole
        table.add_row(
            Text(run.name),
            told(whole.auroc),
            told(whole.average_precision),
            told(whole.recall_at_budget),
            f"{run.events_found}/{len(run.found)}",
            told(run.seconds_to_detect),
            f"{run.false_alarms}/{run.alerts}",
        )
    console.print(table)
    console.print(
        f"{evaluation.moments} Moments, {evaluation.left_out} left out (not judged in every run),"
        f" {evaluation.labels_without_moments} labels without Observations"
    )
    console.print(f"Look at {output / PAGE}")
