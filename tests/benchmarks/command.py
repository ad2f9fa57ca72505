"""How a benchmark is started, and how it ends where it cannot be done."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from worker.errors import FailedRunError, OperatorError


def run(main: Callable[..., None], name: str) -> None:
    """Run a benchmark by its command line; a mistake ends it with one sentence."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    try:
        app()
    except (OperatorError, FailedRunError) as error:
        sys.exit(f"{name}: {error}")
