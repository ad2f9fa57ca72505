"""More load than the machine can take: how late do Moments get, and what is left out of them?

`make bench-overload`. First it is measured what a worker can take here, from a backlog. Then
cameras send in real time: some all the time, for half of that load, and others beside them for a
while, so that it is three times as much; then it is as it was. The feeder, the broker and the
reader have the same cores as the worker.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from tests.benchmarks.alert_delay import feed
from tests.benchmarks.backlog import moments_of, played
from tests.benchmarks.cameras import Cameras, Plan
from tests.benchmarks.command import run
from tests.benchmarks.measure import Run, circumstances
from tests.benchmarks.on_kafka import Stage, apart, create, stage, with_process
from tests.benchmarks.process import WorkerProcess, await_rest
from tests.benchmarks.reading import Reader
from tests.benchmarks.scenario import Rush, Scenario, read_scenario
from tests.benchmarks.throughput import bare_shard
from worker.cli.options import config_of
from worker.config import Config
from worker.core.messages import read_observation
from worker.core.moment import ClosedBy
from worker.core.rfc3339 import MICROSECONDS, seconds
from worker.demo.tally import read_tally
from worker.errors import FailedRunError
from worker.feed.events import FeedEvent
from worker.runtime.assemble import build_encoders, build_pipeline

PARTITIONS = 2
NEVER = 1e9  # seconds: no lens is covered
REST_SECONDS = 180.0
PHASES = ("half load", "rush", "half load again")


@dataclass(frozen=True, slots=True)
class Seen:
    """One Moment: seconds from the start to its window's end, from there until it could be read."""

    end: float
    delay: float
    on_time: bool  # closed by its watermark; others had to wait for a silence
    left_out: str


class Surge:
    """Cameras of which the first `usual` send always, and the others only during the rush."""

    def __init__(self, cameras: Cameras, usual: int, plays: Rush) -> None:
        self._cameras, self._usual, self._plays = cameras, set(cameras.names[:usual]), plays
        self.start = 0

    def events(self, start: int) -> Iterator[FeedEvent]:
        """Yield events for ever, in order of time, from `start` on, in microseconds."""
        self.start = start
        begin = start + seconds(self._plays.half_seconds)
        end = begin + seconds(self._plays.rush_seconds)
        for event in self._cameras.events(start):
            if event.source in self._usual or begin <= event.time < end:
                yield event


def main(
    output: Annotated[Path, typer.Option(help="Directory for overload.json.")] = Path("out/bench"),
    scenario: Annotated[str, typer.Option(help="A name, or a TOML file.")] = "overload",
    capacity: Annotated[
        float, typer.Option(help="Moments/s that the worker can take; 0: measured.")
    ] = 0,
    ladder: Annotated[bool, typer.Option(help="models.overload: auto, or off.")] = True,
) -> None:
    """Feed a worker for a while, and tell how late it was."""
    plays = read_scenario(scenario)
    if not isinstance(plays, Rush):
        raise FailedRunError(f"the scenario {scenario} is of another benchmark")
    changes: dict[str, Any] = {"capacity": capacity} if capacity else {}
    if not ladder:
        changes["settings"] = {**plays.settings, "models.overload": "off"}
    output.mkdir(parents=True, exist_ok=True)
    measure(Rush(**{**asdict(plays), **changes}), output)


def measure(plays: Rush, output: Path) -> None:
    """Play it, write overload.json, print a table. Raises FailedRunError."""
    config, console = config_of(None, plays.settings), Console()
    drained = config_of(None, {**plays.settings, "models.overload": "off"})
    busy = read_scenario("busy")
    assert isinstance(busy, Scenario)
    backlog = played(drained, busy)
    with stage(drained, backlog, PARTITIONS, output) as on_kafka:
        rate = plays.capacity or _capacity(drained, on_kafka, backlog)
        console.print(f"The worker takes {rate:.1f} Moments/s of a backlog")
        found = _fed(config, plays, on_kafka, rate)
    (output / "overload.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    _show(console, found)


def _capacity(config: Config, on_kafka: Stage, backlog: Any) -> float:
    pipeline = build_pipeline(config, build_encoders(config))
    moments = sum(1 for _ in moments_of(config, backlog, bare_shard(config, pipeline)))
    wanted = Run(moments, backlog.frames, 0, 0.0, 0.0)
    return on_kafka.run("capacity", wanted, cold=True).run.moments_per_second


def _fed(config: Config, plays: Rush, on_kafka: Stage, rate: float) -> dict[str, Any]:
    usual, most = max(1, round(rate / 2)), max(2, round(plays.times * rate))
    reached = config.model_copy(
        update={"kafka": on_kafka.config.kafka, "redis": on_kafka.config.redis}
    )
    live = with_process(apart(reached, "overload", inputs=True), "overload")
    create(live, PARTITIONS)
    surge = Surge(Cameras(Plan(most, NEVER, NEVER, NEVER), PARTITIONS), usual, plays)
    values: list[tuple[float, bytes]] = []
    reader = Reader(live.kafka, live.topics.observations, lambda at, v: values.append((at, v)))
    length = plays.half_seconds + plays.rush_seconds + plays.calm_seconds
    with WorkerProcess(live, on_kafka.directory, "overload") as worker, reader:
        behind = feed(live, surge, length)
        await_rest([worker], REST_SECONDS)
        tally = read_tally(worker.metrics())
    seen = [_seen(surge.start, *each) for each in values]
    return {
        "scenario": asdict(plays),
        "capacity_moments_per_second": rate,
        "cameras": {"usual": usual, "rush": most},
        "feeder_behind_seconds": behind,
        "target_seconds": 3 * (config.pairing.window_seconds + config.pairing.grace_seconds),
        "phases": {name: _phase(each) for name, each in _phases(plays, seen).items()},
        "timeline": _timeline(seen),
        "records": tally.counts(),
        **circumstances(),
    }


def _seen(start: int, at: float, value: bytes) -> Seen:
    one = read_observation(value)
    return Seen(
        end=(one.window_end - start) / MICROSECONDS,
        delay=at - one.window_end / MICROSECONDS,
        on_time=one.closed_by is ClosedBy.WATERMARK,
        left_out=",".join(sorted(one.degraded)) or "nothing",
    )


def _phases(plays: Rush, seen: Sequence[Seen]) -> dict[str, list[Seen]]:
    """Return what was seen of windows that end in each phase."""
    begin, end = plays.half_seconds, plays.half_seconds + plays.rush_seconds
    bounds = zip(PHASES, (0.0, begin, end), (begin, end, NEVER), strict=True)
    return {name: [e for e in seen if low <= e.end < high] for name, low, high in bounds}


def _phase(seen: Sequence[Seen]) -> dict[str, Any]:
    delays = [each.delay for each in seen if each.on_time]
    return {
        "moments": len(seen),
        "median_delay_seconds": median(delays) if delays else None,
        "longest_delay_seconds": max(delays, default=None),
        "left_out": dict(Counter(each.left_out for each in seen)),
    }


def _timeline(seen: Sequence[Seen]) -> list[dict[str, Any]]:
    """Return for each second its Moments, their longest delay, and how much was left out of."""
    rows: dict[int, list[Seen]] = {}
    for each in seen:
        rows.setdefault(int(each.end), []).append(each)
    return [
        {
            "second": second,
            "moments": len(rows[second]),
            "delay": max((each.delay for each in rows[second] if each.on_time), default=None),
            "reduced": sum(each.left_out != "nothing" for each in rows[second]),
        }
        for second in sorted(rows)
    ]


def _show(console: Console, found: dict[str, Any]) -> None:
    table = Table("", "Moments", "delay s: median", "longest", "left out", title="Overload")
    for name, phase in found["phases"].items():
        delays = (phase["median_delay_seconds"], phase["longest_delay_seconds"])
        told = ("" if each is None else f"{each:.1f}" for each in delays)
        left_out = ", ".join(f"{what} {count}" for what, count in phase["left_out"].items())
        table.add_row(name, str(phase["moments"]), *told, left_out)
    console.print(table)
    console.print(
        f"{found['cameras']['usual']} cameras, {found['cameras']['rush']} in the rush; the delay"
        f" is to stay under {found['target_seconds']:g} s. The feeder was late by at most"
        f" {found['feeder_behind_seconds']:.1f} s. Records: {found['records']}"
    )


if __name__ == "__main__":
    run(main, "bench-overload")
