"""What `config show --bundle` prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from worker.models.bundles.bundle import Bundle, open_bundle


def show_bundle(place: Path, *, as_json: bool) -> None:
    """Check a bundle as `run` does and print what is in it. Raises OperatorError."""
    bundle = open_bundle(place)
    if as_json:
        typer.echo(json.dumps(facts_of(bundle), indent=2))
        return
    print_bundle(bundle, Console())
    typer.echo(f"\n{bundle.card}")


def print_bundle(bundle: Bundle, console: Console) -> None:
    """Print what goes in, how well pairs agree, and the digest."""
    console.print(_inputs(bundle))
    console.print(_pairs(bundle))
    architecture = bundle.architecture
    typer.echo(
        f"fusion {architecture.operator}, {architecture.dim} dimensions, classes"
        f" {', '.join(architecture.classes)}\ndigest {bundle.digest}"
    )


def facts_of(bundle: Bundle) -> dict[str, Any]:
    """Return what is told of a bundle, as JSON has it."""
    return {
        "bundle": str(bundle.place),
        "digest": bundle.digest,
        "architecture": bundle.architecture.model_dump(mode="json"),
        "preprocessing": bundle.preprocessing.model_dump(mode="json"),
        "calibration": bundle.calibration.model_dump(mode="json"),
        "parameters": sum(each.numel() for each in bundle.model.parameters()),
        "files": list(bundle.files),
    }


def _inputs(bundle: Bundle) -> Table:
    table = Table("modality", "input", "length", "encoder", "digest", box=box.SIMPLE_HEAD)
    for modality in bundle.modalities:
        given = bundle.preprocessing.inputs[modality]
        encoder = f"{given.encoder}, tuned" if given.tuned else given.encoder
        table.add_row(modality, given.feature, str(given.dim), encoder, given.digest)
    return table


def _pairs(bundle: Bundle) -> Table:
    table = Table("pair", "AUROC", "pairs held out", "centre", "deviation", box=box.SIMPLE_HEAD)
    for pair, each in bundle.calibration.agreement.items():
        auroc = "-" if each.auroc is None else f"{each.auroc:.3f}"
        table.add_row(pair, auroc, str(each.pairs), f"{each.centre:.2f}", f"{each.deviation:.2f}")
    return table
