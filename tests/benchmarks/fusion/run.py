"""Render, fit, compare: `make bench-fusion`. The first time minutes go into the features."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import typer
from rich.console import Console
from rich.table import Table

from tests.benchmarks import measure
from tests.benchmarks.command import run
from tests.benchmarks.fusion.agreement import Agreed, agree
from tests.benchmarks.fusion.operators import MISSING, Result, compare
from tests.benchmarks.fusion.site import open_site
from tests.benchmarks.fusion.tuning import Way, tune

Part = Literal["all", "days", "cameras", "agreement", "tuning"]
PARTS: Sequence[Part] = ("days", "cameras", "agreement", "tuning")


def main(
    output: Annotated[Path, typer.Option(help="Directory for results.")] = Path("out/bench-fusion"),
    part: Annotated[Part, typer.Option(help="Which of them.")] = "all",
) -> None:
    """Compare operators, agreement and ways of tuning on rendered cameras."""
    torch.set_num_threads(1)
    console = Console(width=120)
    site = open_site(output / "features")
    for name in PARTS if part == "all" else (part,):
        found: Sequence[Result | Agreed | Way]
        if name == "agreement":
            found = agree(site, console.print)
            console.print(_agreed(found))
        elif name == "tuning":
            found = tune(site, console.print)
            console.print(_ways(found))
        else:
            found = compare(site, name, console.print)
            console.print(_operators(name, found))
        document: dict[str, Any] = {
            "machine": measure.machine(),
            "versions": measure.versions(),
            "commit": measure.commit(),
            "rows": [asdict(each) for each in found],
        }
        (output / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")


def _operators(split: str, results: Sequence[Result]) -> Table:
    table = Table("", "parameters", *MISSING, title=f"AUROC, tested on other {split}")
    for each in results:
        cells = [
            f"{mean:.3f} ±{spread:.3f}" for mean, spread in zip(each.mean, each.spread, strict=True)
        ]
        table.add_row(each.method, str(each.parameters), *cells)
    return table


def _agreed(results: Sequence[Agreed]) -> Table:
    table = Table("picture and caption, other cameras", "AUROC", "95% interval")
    for each in results:
        table.add_row(each.method, f"{each.auroc:.3f}", f"{each.low:.3f}..{each.high:.3f}")
    return table


def _ways(ways: Sequence[Way]) -> Table:
    table = Table("tuning", "moved in the encoder", "in fusion", "CPU s", *MISSING)
    for each in ways:
        moved = (f"{each.encoder_parameters}", f"{each.fusion_parameters}")
        table.add_row(
            each.name, *moved, f"{each.cpu_seconds:.0f}", *(f"{x:.3f}" for x in each.auroc)
        )
    return table


if __name__ == "__main__":
    run(main, "bench-fusion")
