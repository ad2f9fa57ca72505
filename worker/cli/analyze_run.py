"""Plays files through a worker over the in-memory log and writes the results."""

from __future__ import annotations

import time
from pathlib import Path

import typer
from rich.console import Console

from worker.cli.progress import bar
from worker.config import Config
from worker.core.rfc3339 import MICROSECONDS, seconds
from worker.demo import embedded, terminal
from worker.demo.results import Story, write_results
from worker.feed.inputs import Stream, merge
from worker.runtime.assemble import build_encoders


def run_analysis(config: Config, streams: list[Stream], output: Path, *, as_json: bool) -> None:
    """Play, write, show. Raises OperatorError; exits with 1 where the counts do not reconcile."""
    console = Console(stderr=True)
    with console.status("Loading the encoders (the first time they are measured for seconds)"):
        encoders = build_encoders(config)
    start = time.time_ns() // 1000 - seconds(86_400)
    start -= start % seconds(config.pairing.window_seconds)
    with bar(console, "Analysing", None) as advance:
        played = embedded.play(
            config,
            encoders,
            merge(streams, start),
            progress=lambda reached: advance((reached - start) / MICROSECONDS),
        )
    story = Story(
        title="Analysis",
        subtitle=", ".join(sorted({stream.path.name for stream in streams})),
        backend="Local files through the in-memory log.",
        labels=None,
        events=lambda: merge(streams, start),
        now=time.time_ns() // 1000,
    )
    results = write_results(output, config, played, story)
    if as_json:
        typer.echo((output / "summary.json").read_text(encoding="utf-8"), nl=False)
    else:
        _warn_if_short(config, len(results.run.observations), console)
        terminal.show(results, output, played.wall_seconds, Console())
    if not results.tally.reconciles:
        raise typer.Exit(1)


def _warn_if_short(config: Config, moments: int, console: Console) -> None:
    need = config.scoring.calibration_moments
    if moments <= need:
        console.print(
            f"[yellow]Only {moments} Moments: judging begins after {need};"
            " give more footage or lower --calibration-moments.[/yellow]"
        )
