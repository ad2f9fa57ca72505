"""More load than the machine can take: how late do Moments get, and what is left out of them?

`make bench-overload`. Some cameras send all the time, and others beside them for a while, so that
the load is three times what the worker can do; then it is as it was.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tests.benchmarks import measure
from tests.benchmarks.alert_delay import feed
from tests.benchmarks.cameras import Cameras, Plan
from tests.benchmarks.command import run
from tests.benchmarks.on_kafka import create, with_process
from tests.benchmarks.process import WorkerProcess
from tests.benchmarks.reading import Reader
from worker.cli.options import config_of
from worker.core.messages import read_observation
from worker.core.moment import ClosedBy
from worker.core.rfc3339 import MICROSECONDS
from worker.demo.services import local_kafka
from worker.demo.tally import read_tally
from worker.errors import FailedRunError

PARTITIONS = 2
NEVER = 1e9  # seconds: no lens is covered
REST_SECONDS = 120.0


class Seen:
    """What was seen of Observations."""

    def __init__(self) -> None:
        self.delays: list[float] = []  # seconds from the end of the window, of those on time
        self.left_out: Counter[str] = Counter()

    def note(self, at: float, value: bytes) -> None:
        """Take one in that could be read at a time."""
        one = read_observation(value)
        self.left_out.update(one.degraded or ("nothing",))
        if one.closed_by is ClosedBy.WATERMARK:  # others had to wait for a silence
            self.delays.append(at - one.window_end / MICROSECONDS)


def main(
    output: Annotated[Path, typer.Option(help="Directory for overload.json.")] = Path("out/bench"),
    rate: Annotated[int, typer.Option(min=6, help="Cameras, a Moment a second each.")] = 90,
    length: Annotated[float, typer.Option(help="Seconds of it.")] = 90,
    ladder: Annotated[bool, typer.Option(help="models.overload: auto, or off.")] = True,
) -> None:
    """Feed a worker for a while, and tell how late it was."""
    output.mkdir(parents=True, exist_ok=True)
    overload = "auto" if ladder else "off"
    with local_kafka() as kafka:
        settings = {"kafka.bootstrap_servers": kafka.bootstrap, "models.overload": overload}
        config = with_process(config_of(None, settings), "overload")
        create(config, PARTITIONS)
        cameras = Cameras(Plan(rate, NEVER, NEVER, NEVER), PARTITIONS)
        watched = Seen()
        reader = Reader(config.kafka, config.topics.observations, watched.note)
        with WorkerProcess(config, output, "overload") as worker, reader:
            behind = feed(config, cameras, length)
            _await_rest(worker)
            tally = read_tally(worker.metrics())
    found = {
        "cameras": rate,
        "seconds": length,
        "overload": overload,
        "feeder_behind_seconds": behind,
        "median_delay_seconds": median(watched.delays),
        "longest_delay_seconds": max(watched.delays),
        "target_seconds": 3 * (config.pairing.window_seconds + config.pairing.grace_seconds),
        "moments": sum(watched.left_out.values()),
        "left_out": dict(watched.left_out),
        "records": tally.counts(),
        "machine": measure.machine(),
        "versions": measure.versions(),
        "commit": measure.commit(),
    }
    (output / "overload.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    table = Table("", "", title="Overload")
    for name in list(found)[:-3]:
        table.add_row(name, str(found[name]))
    Console().print(table)


def _await_rest(worker: WorkerProcess) -> None:
    """Return when every record has ended in its one place."""
    deadline = time.monotonic() + REST_SECONDS
    while (tally := read_tally(worker.metrics())).buffered or not tally.reconciles:
        if time.monotonic() > deadline:
            raise FailedRunError(f"the worker does not come to rest: {tally.counts()}")
        time.sleep(1)


if __name__ == "__main__":
    run(main, "bench-overload")
