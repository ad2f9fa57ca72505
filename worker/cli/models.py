"""`mmworker models`: the encoders that a configuration leads to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from worker.cli.options import AsJson, Bootstrap, ConfigFile, config_of

if TYPE_CHECKING:
    from worker.models.base import Encoder, SpeechToText

app = typer.Typer(help="Describe the models, or make them smaller.", no_args_is_help=True)


@app.command("show")
def show(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Load every encoder and print its length, its digest (to pin it) and how it runs here."""
    from worker.runtime.assemble import build_encoders, build_speech

    effective = config_of(config)
    models: dict[str, Encoder | SpeechToText] = {
        str(modality): encoder for modality, encoder in build_encoders(effective).items()
    }
    if (speech := build_speech(effective)) is not None:
        models["speech"] = speech
    described = {role: facts_of(model) for role, model in models.items()}
    if as_json:
        typer.echo(json.dumps(described, indent=2))
        return
    table = Table("modality", "encoder", "length", "runs by", "digest", box=box.SIMPLE_HEAD)
    for modality, facts in described.items():
        length = "" if facts["dim"] is None else str(facts["dim"])
        table.add_row(modality, facts["encoder"], length, _way(facts), facts["digest"])
    Console().print(table)


@app.command("quantise")
def quantise(
    data: Annotated[
        Path | None,
        typer.Argument(
            help="Media, a manifest, or a directory of them; none: the topic of frames."
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")] = Path(
        "frames.int8"
    ),
    pictures: Annotated[int, typer.Option(min=40, max=10_000, help="To look at, at most.")] = 300,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Make the frame encoder's network in int8, by pictures such as it will see."""
    from worker.cli.quantise import run_quantise

    effective = config_of(config, {"kafka.bootstrap_servers": bootstrap})
    found = run_quantise(effective, data, output, pictures)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2))
        return
    typer.echo(
        f"{output}: {found.cpu_ms:.1f} ms of CPU per picture instead of {found.float_cpu_ms:.1f}"
        f" (one thread); cosine to float32 of {found.pictures} other pictures: mean"
        f" {found.mean_cosine:.3f}, least {found.least_cosine:.3f}.\n"
        f"Give it to all workers of the group: models.dtype int8, models.int8_network {output}"
    )


def facts_of(model: Encoder | SpeechToText) -> dict[str, Any]:
    """Return what is told of a model.

    `dim` is None where it returns texts, `plan` where nothing is chosen by measurement.
    """
    plan = getattr(model, "plan", None)
    return {
        "encoder": model.name,
        "dim": getattr(model, "dim", None),
        "digest": model.digest,
        "plan": None if plan is None else asdict(plan),
    }


def _way(facts: Mapping[str, Any]) -> str:
    plan = facts["plan"]
    if plan is None:
        return "torch" if facts["dim"] is None else "no network"
    return (
        f"{plan['runtime']} {plan['dtype']}, batch {plan['batch_size']}, threads {plan['threads']}"
    )
