"""`mmworker analyze`: the user's own files through the same pipeline, without Kafka or labels."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from worker.cli.options import AsJson, ConfigFile, Output, config_of
from worker.cli.progress import bar
from worker.config import Config
from worker.core.rfc3339 import MICROSECONDS, seconds
from worker.demo import embedded, terminal
from worker.demo.results import Story, prepare_directory, write_results
from worker.errors import OperatorError
from worker.feed.inputs import merge, open_inputs
from worker.runtime.assemble import build_encoders

SHORT_CALIBRATION = 40  # Moments; files are shorter than streams


def analyze(
    files: Annotated[
        list[Path], typer.Argument(help="Video, audio, captions (CSV, JSONL, SRT, WebVTT), images.")
    ],
    output: Output,
    config: ConfigFile = None,
    fps: Annotated[float | None, typer.Option(help="Frames per second to look at.")] = None,
    calibration_moments: Annotated[
        int, typer.Option(min=20, help="Moments from which the usual is learned.")
    ] = SHORT_CALIBRATION,
    as_json: AsJson = False,
) -> None:
    """Find what is unusual in recorded media: learn the usual from the beginning, then judge."""
    effective = config_of(config, {"scoring.calibration_moments": calibration_moments})
    prepare_directory(output)
    streams = open_inputs(files, fps=fps)
    if not streams:
        raise OperatorError("No file was given: name video, audio, captions or image directories.")
    console = Console(stderr=True)
    with console.status("Loading the encoders (the first time they are measured for seconds)"):
        encoders = build_encoders(effective)
    start = time.time_ns() // 1000 - seconds(86_400)
    start -= start % seconds(effective.pairing.window_seconds)
    with bar(console, "Analysing", None) as advance:
        played = embedded.play(
            effective,
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
    results = write_results(output, effective, played, story)
    if as_json:
        typer.echo((output / "summary.json").read_text(encoding="utf-8"), nl=False)
    else:
        _warn_if_short(effective, len(results.run.observations), console)
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
