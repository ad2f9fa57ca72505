"""`mmworker demo`: a real scene through the whole worker, judged against its labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from worker.cli.options import AsJson, Backend, config_of, prepare_directory
from worker.core import rfc3339
from worker.errors import OperatorError

SPEED = 3.0  # times real time
# The clip lasts 79.5 s; in production a source is judged after 200 Moments.
SETTINGS = {
    "scoring.calibration_moments": 40,  # the clip is short
    "models.overload": "off",  # it is played faster than cameras send
}


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Directory for results.")] = Path(
        "out/demo"
    ),
    backend: Annotated[
        Backend, typer.Option(help="auto: Kafka where Java 17 and Maven are there.")
    ] = "auto",
    speed: Annotated[
        float, typer.Option(min=0.1, help="Times real time (kafka); embedded does not wait.")
    ] = SPEED,
    inject: Annotated[
        bool, typer.Option(help="Also the three injected events, not just the real ones.")
    ] = True,
    start: Annotated[
        str | None,
        typer.Option(help="Time of the first picture, RFC 3339; by default the clip ends now."),
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="A fitted bundle to run with.", metavar="DIR")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Play 80 s of a campus plaza, seen by four cameras, and find what is unusual in it."""
    fitted = None if bundle is None else str(bundle.resolve())
    config = config_of(None, SETTINGS | {"models.bundle": fitted})
    began = None if start is None else _time(start)
    prepare_directory(output)
    from worker.cli.demo_run import Wishes, run_demo

    run_demo(config, output, Wishes(backend, speed, inject, began, as_json))


def _time(text: str) -> int:
    try:
        return rfc3339.parse(text)
    except (ValueError, OverflowError):
        raise OperatorError("--start: give an RFC 3339 time, as in 2026-01-01T12:00:00Z.") from None
