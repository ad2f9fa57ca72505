"""`mmworker topics plan`: how many partitions and workers, how much bandwidth and memory."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from worker.cli.options import AsJson, ConfigFile, config_of
from worker.core.sizing import BUSY, MEASURED, Plan, Workload
from worker.core.sizing import plan as sized

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def plan(
    cameras: Annotated[int, typer.Option(min=1, max=10_000_000)],
    fps: Annotated[float, typer.Option(min=0.01, max=1000, help="Frames of a camera a second.")],
    clips: Annotated[float, typer.Option(min=0, max=100, help="Audio clips a second.")] = 1.0,
    captions: Annotated[float, typer.Option(min=0, max=6000, help="Captions a minute.")] = 6.0,
    frame_bytes: Annotated[float, typer.Option(min=1)] = MEASURED.frame_bytes,
    clip_bytes: Annotated[float, typer.Option(min=1)] = MEASURED.clip_bytes,
    moments_per_second: Annotated[
        float, typer.Option(min=0.01, help="Of one worker, as `make bench` tells on its machine.")
    ] = MEASURED.worker_moments_per_second,
    worker_cores: Annotated[float, typer.Option(min=0.1)] = MEASURED.worker_cores,
    retention_hours: Annotated[float, typer.Option(min=0, help="Of the input topics.")] = 24,
    observation_hours: Annotated[float, typer.Option(min=0, help="Of the Observations.")] = 168,
    replication: Annotated[int, typer.Option(min=1, max=9)] = 3,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Say what so many cameras need.

    Windows, frames per Moment, cache and a bundle in shadow are as configured.
    """
    effective = config_of(config)
    load = Workload(
        cameras=cameras,
        frames_per_second=fps,
        clips_per_second=clips,
        captions_per_minute=captions,
        window_seconds=effective.pairing.window_seconds,
        grace_seconds=effective.pairing.grace_seconds,
        frames_per_moment=effective.models.frames_per_moment,
        retention_hours=retention_hours,
        observation_hours=observation_hours,
        replication=replication,
        cache_seconds=effective.redis.ttl_seconds,
        scorers=1 if effective.scoring.shadow.bundle is None else 2,
    )
    figures = replace(
        MEASURED,
        frame_bytes=frame_bytes,
        clip_bytes=clip_bytes,
        worker_moments_per_second=moments_per_second,
        worker_cores=worker_cores,
    )
    needed = sized(load, figures)
    if as_json:
        told = {"plan": asdict(needed), "workload": asdict(load), "figures": asdict(figures)}
        typer.echo(json.dumps(told, indent=2))
    else:
        Console().print(_table(needed, load))


def _table(needed: Plan, load: Workload) -> Table:
    table = Table("what", "needed", "since", box=box.SIMPLE_HEAD)
    for row in _rows(needed, load):
        table.add_row(*row)
    return table


def _rows(needed: Plan, load: Workload) -> list[tuple[str, str, str]]:
    kept, seen = f"{load.retention_hours:g} h", f"{load.observation_hours:g} h"
    copies = f"{load.replication} replicas"
    return [
        ("Moments", f"{needed.moments_per_second:.4g}/s", "one per camera and window"),
        ("workers", f"{needed.workers}", f"each planned to be {BUSY:.0%} busy"),
        ("partitions of every topic", f"{needed.partitions}", "two per worker or more"),
        ("CPU of all workers", f"{needed.cores:g} cores", "GPUs: give --moments-per-second"),
        ("memory of a worker", _bytes(needed.worker_memory_bytes), "models, sources, windows"),
        ("producers to brokers", _rate(needed.input_bytes_per_second), "and brokers to workers"),
        ("workers to brokers", _rate(needed.output_bytes_per_second), "Observations"),
        ("between brokers", _rate(needed.replication_bytes_per_second), copies),
        ("Redis", _bytes(needed.redis_bytes), f"embeddings of {load.cache_seconds:g} s"),
        ("input topics", _bytes(needed.input_topics_bytes), f"{kept}, {copies}"),
        ("topic observations", _bytes(needed.observations_bytes), f"{seen}, {copies}"),
        ("topic snapshots", _bytes(needed.snapshots_bytes), f"before compaction, {copies}"),
    ]


def _rate(size: float) -> str:
    return f"{_bytes(size)}/s"


def _bytes(size: float) -> str:
    """Return a size in the largest unit that leaves a whole part.

    >>> _bytes(0), _bytes(999), _bytes(27_000), _bytes(1.43e9), _bytes(290e6)
    ('0 B', '999 B', '27 kB', '1.4 GB', '290 MB')
    """
    power = min(len(_UNITS) - 1, (len(str(int(size))) - 1) // 3)
    shown = size / 1000**power
    return (
        f"{shown:.1f} {_UNITS[power]}"
        if shown % 1 and shown < 10
        else f"{shown:.0f} {_UNITS[power]}"
    )
