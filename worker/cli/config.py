"""`mmworker config`: what is in effect, whether it is right, what there is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from worker.cli.options import AsJson, ConfigFile, read_config
from worker.config import ScoringSettings, config_hash, json_schema, markdown_table, show_rows
from worker.core.policy import Budget

app = typer.Typer(help="Show, check and describe the configuration.", no_args_is_help=True)


@app.command("show")
def show(
    config: ConfigFile = None,
    cameras: Annotated[
        int | None, typer.Option(min=1, max=10_000_000, help="Say what so many sources add up to.")
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", help="Check this bundle and describe it instead.", metavar="DIR"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print every setting, its value, and where the value came from; secrets are hidden."""
    loaded = read_config(config)
    if bundle is not None:
        from worker.cli.bundle import show_bundle

        show_bundle(bundle, as_json=as_json)
        return
    rows = show_rows(loaded)
    if as_json:
        values = {key: {"value": value, "origin": origin} for key, value, origin in rows}
        typer.echo(json.dumps(values, indent=2))
        return
    table = Table("setting", "value", "from", box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    scoring, pairing = loaded.config.scoring, loaded.config.pairing
    per_day = scoring.false_alarms_per_day
    budget = Budget.of(per_day, pairing.window_seconds)
    typer.echo(
        f"config hash {config_hash(loaded.config)}; a budget of {per_day:g} false alarms per source"
        f" and day: a Moment is unusual at p <= {budget.alpha:.2g}"
    )
    if cameras is not None:
        typer.echo(_fleet(cameras, scoring))


def _fleet(cameras: int, scoring: ScoringSettings) -> str:
    per_day = scoring.false_alarms_per_day
    total = f"{cameras} sources x {per_day:g} = up to {cameras * per_day:.16g} false alarms a day"
    others = [
        f"{each.match} {0 if each.mute else each.false_alarms_per_day:g}"
        for each in scoring.sources
        if each.mute or each.false_alarms_per_day is not None
    ]
    said = [total]
    if others:
        said.append(f"instead of {per_day:g} each: {', '.join(others)}")
    if rate := scoring.false_discovery_rate:
        said.append(f"a share of {rate:.16g} false ones among all alerts is allowed for")
    return "; ".join(said)


@app.command("check")
def check(config: ConfigFile = None) -> None:
    """Say whether the configuration can be used; exit 2 and one sentence where it cannot."""
    typer.echo(f"The configuration is fine (hash {config_hash(read_config(config).config)}).")


@app.command("schema")
def schema(
    markdown: Annotated[bool, typer.Option("--markdown", help="A table instead.")] = False,
) -> None:
    """Print the JSON Schema of a configuration file."""
    typer.echo(markdown_table() if markdown else json.dumps(json_schema(), indent=2))
