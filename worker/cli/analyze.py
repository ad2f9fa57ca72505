"""`mmworker analyze`: the user's own files through the same pipeline, without Kafka or labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from worker.cli.options import AsJson, ConfigFile, Output, config_of, prepare_directory
from worker.errors import OperatorError
from worker.feed.inputs import open_inputs

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
    streams = open_inputs(files, fps=fps)
    if not streams:
        raise OperatorError("No file was given: name video, audio, captions or image directories.")
    prepare_directory(output)
    from worker.cli.analyze_run import run_analysis

    run_analysis(effective, streams, output, as_json=as_json)
