"""`mmworker`: one command, its subcommands, and what becomes of errors."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from worker.cli import (
    analyze,
    config,
    dead_letters,
    demo,
    evaluate,
    feedback,
    fit,
    models,
    produce,
    replay,
    run,
    topics,
)
from worker.errors import FailedRunError, OperatorError
from worker.runtime.logs import configure as configure_logs

app = typer.Typer(
    name="mmworker",
    help="Streaming multimodal anomaly analysis over Kafka.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run)
app.command("demo")(demo.demo)
app.command("produce")(produce.produce)
app.command("analyze")(analyze.analyze)
app.command("fit")(fit.fit)
app.command("replay")(replay.replay)
app.command("feedback")(feedback.feedback)
app.command("learn-anew")(feedback.learn_anew)
app.command("evaluate")(evaluate.evaluate)
app.add_typer(evaluate.labels_app, name="labels")
app.add_typer(topics.app, name="topics")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(models.app, name="models")
app.add_typer(config.app, name="config")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("multimodal-worker"))
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Streaming multimodal anomaly analysis over Kafka."""


def main() -> None:
    """Run the command line; exit 1 for a failed run or a finding, 2 for wrong use."""
    configure_logs("warning", "console")  # results alone go to stdout; `run` has its own settings
    try:
        app()
    except OperatorError as error:
        print(f"mmworker: {error}", file=sys.stderr)  # noqa: T201 - the command's own voice
        sys.exit(2)
    except FailedRunError as error:
        print(f"mmworker: {error}", file=sys.stderr)  # noqa: T201 - the command's own voice
        sys.exit(1)
