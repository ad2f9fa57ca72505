"""Where tables go to: a terminal as wide as it is, or a pipe, which has no width."""

from __future__ import annotations

from rich.console import Console

PIPE_WIDTH = 240  # characters of a line where there is no terminal


def table_console() -> Console:
    """Return a console on stdout that does not fold tables in a pipe."""
    console = Console()
    return console if console.is_terminal else Console(width=PIPE_WIDTH)
