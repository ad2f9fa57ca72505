"""A progress bar in seconds of footage, on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


@contextmanager
def bar(
    console: Console, title: str, total_seconds: float | None
) -> Iterator[Callable[[float], None]]:
    """Show progress; yields a function that takes the seconds of footage reached."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} s of footage"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=total_seconds)
        yield lambda reached: progress.update(task, completed=reached)
