"""One worker or several of a group on the same backlog: `make bench ARGS="--scenario workers"`.

The workers are members before the clock starts, and stand still while the backlog is appended. Each
encodes on one thread, so that more workers use more cores until there are none left; the broker and
the reader have the same cores.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from tests.benchmarks.backlog import START, Backlog, moments_of, of_events
from tests.benchmarks.measure import Stopwatch, circumstances, cpu_seconds_of, peak_bytes_of
from tests.benchmarks.on_kafka import (
    Stage,
    apart,
    await_moments,
    create,
    fill,
    observations,
    stage,
    with_process,
)
from tests.benchmarks.process import WorkerProcess
from tests.benchmarks.scenario import Group, Scenario
from tests.benchmarks.throughput import bare_shard
from tests.chaos.stream import sources
from worker.cli.options import config_of
from worker.demo import scene
from worker.errors import FailedRunError
from worker.feed.events import FeedEvent
from worker.models.processor import this_processor
from worker.runtime.assemble import build_encoders, build_pipeline

SETTLE_SECONDS = 60.0  # within which all partitions have their owners


@dataclass(frozen=True, slots=True)
class Point:
    """What so many workers took for the Moments; CPU and memory of all of them together."""

    workers: int
    moments: int
    wall_seconds: float
    cpu_seconds: float
    broker_cpu_seconds: float
    peak_bytes: int


def measure(plays: Group, output: Path) -> None:
    """Play it in interleaved rounds, write workers.json, print a table."""
    settings = {"models.overload": "off", "models.threads": 1, **plays.settings}
    config, console = config_of(None, settings), Console()
    events = _events(plays)
    pipeline = build_pipeline(config, build_encoders(config))
    shard = bare_shard(config, pipeline)
    moments = sum(1 for _ in moments_of(config, of_events(config, events), shard))
    points: list[Point] = []
    with stage(config, Backlog((), (), 0), plays.partitions, output) as on_kafka:
        for number in range(plays.rounds):
            for count in plays.workers:
                name = f"workers-{count}-{number}"
                points.append(_point(on_kafka, name, count, events, moments))
                console.print(f"{count} workers: {points[-1].wall_seconds:.1f} s")
    found: dict[str, Any] = {
        "scenario": asdict(plays),
        "moments": moments,
        "points": [asdict(point) for point in points],
        **circumstances(),
    }
    (output / "workers.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    console.print(_table(plays, points))
    console.print(f"{this_processor().cores} cores, which broker and reader use as well")


def _events(plays: Group) -> list[FeedEvent]:
    """Return the plaza of so many cameras, spread evenly over the partitions."""
    shown = scene.events(scene.load(), START, until_s=plays.seconds)
    events = list(Scenario("workers", copies=plays.copies).events(shown))
    found = list(dict.fromkeys(event.source for event in events))
    names = dict(zip(found, sources(len(found), plays.partitions), strict=True))
    return [replace(each, source=names[each.source]) for each in events]


def _point(
    on_kafka: Stage, name: str, count: int, events: Sequence[FeedEvent], moments: int
) -> Point:
    config = apart(on_kafka.config, name, inputs=True)
    create(config, on_kafka.partitions)
    on_kafka.empty_cache()
    with ExitStack() as opened:
        reader = opened.enter_context(observations(config))
        workers = [
            opened.enter_context(
                WorkerProcess(with_process(config, name), on_kafka.directory, f"{name}-{place}")
            )
            for place in range(count)
        ]
        _await_shares(workers, on_kafka.partitions)
        with _standing_still(workers):
            fill(config, of_events(config, events))
        watch = Stopwatch(lambda: sum(cpu_seconds_of(each.pid) for each in workers))
        broker = Stopwatch(lambda: cpu_seconds_of(on_kafka.kafka.pid))
        await_moments(reader, moments)
        (wall, cpu), (_, broker_cpu) = watch.read(), broker.read()
        peak = sum(peak_bytes_of(each.pid) for each in workers)
    return Point(count, moments, wall, cpu, broker_cpu, peak)


def _await_shares(workers: Sequence[WorkerProcess], partitions: int) -> None:
    """Return when the workers own all partition indices, each as many as the others or one more."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        owned = [_owned(each.metrics()) for each in workers]
        if sum(owned) == partitions and max(owned) - min(owned) <= 1:
            return
        if time.monotonic() > deadline:
            raise FailedRunError(f"{len(workers)} workers share {partitions} indices as {owned}")
        time.sleep(0.5)


def _owned(exposition: str) -> int:
    """Return how many partition indices a worker owns, by its metrics."""
    families = text_string_to_metric_families(exposition)
    samples = [sample for family in families for sample in family.samples]
    return max(int(s.value) for s in samples if s.name == "mmworker_assigned_partitions")


@contextmanager
def _standing_still(workers: Sequence[WorkerProcess]) -> Iterator[None]:
    for each in workers:
        os.kill(each.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in workers:
            os.kill(each.pid, signal.SIGCONT)


def _table(plays: Group, points: Sequence[Point]) -> Table:
    table = Table(title="Workers of one group: medians of the rounds")
    for name in ("workers", "moments/s", "to one", "CPU ms/moment", "broker's", "peak MB"):
        table.add_column(name, justify="right")
    by_count = {n: [each for each in points if each.workers == n] for n in plays.workers}
    rates = {n: median(p.moments / p.wall_seconds for p in every) for n, every in by_count.items()}
    for count, every in by_count.items():
        table.add_row(
            str(count),
            f"{rates[count]:.1f}",
            f"{rates[count] / rates[plays.workers[0]]:.2f} x",
            f"{median(1000 * p.cpu_seconds / p.moments for p in every):.1f}",
            f"{median(1000 * p.broker_cpu_seconds / p.moments for p in every):.1f}",
            f"{max(p.peak_bytes for p in every) / 1e6:.0f}",
        )
    return table
