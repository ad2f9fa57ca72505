"""Few sources or many at the same number of Moments: `make bench-scale`.

What is measured is all but the encoders, which are replaced by hashes: reading, pairing, decoding,
scoring, learning and writing, over the in-memory log. Each number of sources has a process of its
own, whose CPU time and peak memory are read; all of them write equally much.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tests.benchmarks.command import run
from tests.benchmarks.measure import Stopwatch, circumstances
from tests.benchmarks.own_process import told_by
from tests.benchmarks.scenario import Crowd
from tests.runtime.builders import encoders
from worker.cli.options import config_of
from worker.core.events import Modality
from worker.core.rfc3339 import seconds
from worker.demo import scene
from worker.demo.embedded import play
from worker.demo.tally import read_tally
from worker.errors import FailedRunError
from worker.feed.events import FeedEvent
from worker.runtime import logs

START = seconds(1_750_000_000)
PARTITIONS = 2


@dataclass(frozen=True, slots=True)
class Point:
    """What so many sources took. `peak_bytes` is the largest resident size of the process."""

    sources: int
    moments: int
    cpu_seconds: float
    peak_bytes: int


def main(
    output: Annotated[Path, typer.Option(help="Directory for scale.json.")] = Path("out/bench"),
    moments: Annotated[int, typer.Option(min=10_000, help="Moments of all sources.")] = 10_000,
    only: Annotated[int, typer.Option(help="One number of sources, as JSON.")] = 0,
) -> None:
    """Measure 10, 100, 1000 and 10 000 sources."""
    if only:
        sys.stdout.write(json.dumps(asdict(measured(only, moments))))
        return
    output.mkdir(parents=True, exist_ok=True)
    measure(Crowd("scale", moments=moments), output)


def measure(plays: Crowd, output: Path) -> None:
    """Play it, each number of sources in a process of its own; write scale.json; print a table."""
    points = [_in_process(sources, plays.moments) for sources in plays.sources]
    found = {
        "scenario": asdict(plays),
        "points": [asdict(point) for point in points],
        "bytes_per_source": _bytes_per_source(points),
        **circumstances(),
    }
    (output / "scale.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    table = Table("sources", "CPU ms/moment", "peak MB", title="Scale, without encoders")
    for point in points:
        cost = 1000 * point.cpu_seconds / point.moments
        table.add_row(str(point.sources), f"{cost:.2f}", f"{point.peak_bytes / 1e6:.0f}")
    Console().print(table)
    Console().print(f"{_bytes_per_source(points) / 1000:.1f} kB per source")


def measured(sources: int, moments: int) -> Point:
    """Play so many Moments in this process. Raises FailedRunError where one is missing."""
    logs.configure("warning", "console")
    config = config_of(None, {"models.overload": "off"})
    watch = Stopwatch()
    played = play(config, encoders(), events(sources, moments // sources), partitions=PARTITIONS)
    _, cpu = watch.read()
    tally = read_tally(played.exposition)
    done = len(played.records[config.topics.observations])
    if done != moments or not tally.reconciles:
        raise FailedRunError(f"{done} of {moments} Moments: {tally.counts()}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Point(sources, moments, cpu, peak)


def events(sources: int, windows: int) -> Iterator[FeedEvent]:
    """Yield a frame and a clip of each source in each window, second by second."""
    material = list(scene.events(scene.load(), START, until_s=2))
    frame, clip = (
        next(event for event in material if event.modality is modality)
        for modality in (Modality.FRAME, Modality.AUDIO)
    )
    for window in range(windows):
        for source in range(sources):
            time = START + seconds(window + source / sources)
            for kind in (frame, clip):
                name, event_id = f"/cameras/{source:05d}", f"{kind.modality}-{window}"
                yield FeedEvent(
                    name, kind.modality, event_id, time, kind.content_type, kind.payload
                )


def _in_process(sources: int, moments: int) -> Point:
    arguments = ("--only", str(sources), "--moments", str(moments))
    return Point(**told_by("tests.benchmarks.scale", *arguments))


def _bytes_per_source(points: list[Point]) -> float:
    """Return what each of the many sources adds to the memory, by the last two points."""
    few, many = points[-2:]
    return (many.peak_bytes - few.peak_bytes) / (many.sources - few.sources)


if __name__ == "__main__":
    run(main, "bench-scale")
