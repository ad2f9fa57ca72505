"""`mmworker produce`: media files, or the built-in scene, as input events."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from worker.adapters.kafka.sink import KafkaSink
from worker.cli.options import Bootstrap, ConfigFile, config_of
from worker.cli.progress import bar
from worker.core.ports import LogError
from worker.core.rfc3339 import MICROSECONDS, seconds
from worker.demo import scene
from worker.errors import FailedRunError, OperatorError
from worker.feed.events import FeedEvent, to_output
from worker.feed.inputs import merge, open_inputs
from worker.feed.length import length_seconds
from worker.feed.pace import paced
from worker.runtime.topics import topic_of_modality


def produce(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Video, audio, captions, image directories; none: the plaza scene."),
    ] = None,
    source: Annotated[str | None, typer.Option(help="Source id; default: the file's name.")] = None,
    speed: Annotated[
        float, typer.Option(min=0, help="Times real time; 0: as fast as possible.")
    ] = 1.0,
    fps: Annotated[float | None, typer.Option(help="Frames per second to send.")] = None,
    clip_seconds: Annotated[float, typer.Option(min=0.1, help="Length of an audio clip.")] = 1.0,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Send media to Kafka as CloudEvents. Faster than real time, it begins in the past."""
    effective = config_of(config, {"kafka.bootstrap_servers": bootstrap})
    open_events, length = _opened(files or [], source, fps, clip_seconds)
    start = time.time_ns() // 1000
    if speed != 1.0:
        start -= seconds(length)  # so that the last event is not ahead of the clock
    topics = topic_of_modality(effective)
    sent, console = 0, Console(stderr=True)
    sink = KafkaSink(effective.kafka, max_record_bytes=effective.limits.max_record_bytes)
    try:
        with bar(console, "Sending", length) as advance:
            for event in paced(open_events(start), speed or None, time.monotonic, time.sleep):
                sink.append(to_output(event, topics))
                sent += 1
                advance((event.time - start) / MICROSECONDS)
            sink.flush()
    except LogError as error:
        raise FailedRunError(f"{sent} events were sent, then Kafka failed: {error}") from error
    finally:
        sink.close()
    typer.echo(f"{sent} events sent")


def _opened(
    files: list[Path], source: str | None, fps: float | None, clip_seconds: float
) -> tuple[Callable[[int], Iterator[FeedEvent]], float]:
    """Return what plays the events from a start time on, and how many seconds they take."""
    if not files:
        if source or fps:
            raise OperatorError("--source and --fps need files: the built-in scene has its own.")
        plaza = scene.load()
        return (lambda start: scene.events(plaza, start)), plaza.video.duration_s
    streams = open_inputs(files, source=source, fps=fps, clip_seconds=clip_seconds)
    return (lambda start: merge(streams, start)), length_seconds(streams)
