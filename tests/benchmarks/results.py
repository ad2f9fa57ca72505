"""What the rounds amount to: medians, ranges, ratios; as a table and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks.measure import Run
from tests.benchmarks.on_kafka import WorkerRun

EMBEDDED_TARGET, KAFKA_TARGET = 0.95, 0.85  # of the bare loop
MEMORY_TARGET = 1e9  # bytes
READY_TARGET = 8.0  # seconds
IDLE_TARGET = 0.02  # of a core


@dataclass(frozen=True, slots=True)
class Round:
    """The contenders, one right after the other. `kafka` is None where it was skipped.

    `references` did the same job on the same Kafka without this project, by name.
    """

    bare: Run
    embedded: Run
    kafka: WorkerRun | None
    references: Mapping[str, Run] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Results:
    """All that was measured; `facts` are the machine, the versions and the settings."""

    facts: Mapping[str, Any]
    rounds: Sequence[Round]
    warm: WorkerRun | None  # with the embeddings of the last round in the cache
    idle_share: float | None

    def document(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            **self.facts,
            "rounds": [asdict(each) for each in self.rounds],
            "warm": None if self.warm is None else asdict(self.warm),
            "summary": {
                "bare_moments_per_second": self._spread(lambda each: each.bare.moments_per_second),
                "embedded_ratio": self._spread(_embedded_ratio),
                "embedded_cpu_ratio": self._spread(_cpu_ratio),
                "kafka_ratio": self._spread(_kafka_ratio),
                "times_reference": {
                    name: self._spread(partial(_times, name)) for name in self.rounds[0].references
                },
                "times_reference_in_cpu": {
                    name: self._spread(partial(_times_in_cpu, name))
                    for name in self.rounds[0].references
                },
                "ready_seconds": self._spread(_ready),
                "ready_cpu_seconds": self._spread(_ready_cpu),
                "peak_bytes": self._spread(_peak),
                "idle_share_of_a_core": self.idle_share,
            },
        }

    def show(self, console: Console) -> None:
        """Print the tables."""
        console.print(self._rates())
        if self.rounds[0].references:
            console.print(self._references())
        console.print(self._stages())
        if self.rounds[0].kafka is not None:
            console.print(self._footprint())

    def _rates(self) -> Table:
        plays = self.facts["scenario"]["name"]
        table = Table(title=f"Throughput, scenario {plays}: median (range) of the rounds")
        for name in ("", "moments/s", "frames/s", "of the bare loop", "target", "CPU ms/moment"):
            table.add_column(name, justify="right" if name else "left")
        bare = [each.bare for each in self.rounds]
        table.add_row("bare loop", *_rate_cells(bare), "", "", _cpu_cell(bare))
        embedded = [each.embedded for each in self.rounds]
        ratio = _percent(self._spread(_embedded_ratio))
        table.add_row(
            "embedded log",
            *_rate_cells(embedded),
            *ratio,
            f"{EMBEDDED_TARGET:.0%}",
            _cpu_cell(embedded),
        )
        if on_kafka := [each.kafka.run for each in self.rounds if each.kafka]:
            ratio = _percent(self._spread(_kafka_ratio))
            cells = (*_rate_cells(on_kafka), *ratio, f"{KAFKA_TARGET:.0%}", _cpu_cell(on_kafka))
            table.add_row("Kafka + Redis", *cells)
        if self.warm is not None:
            cells = (*_rate_cells([self.warm.run]), "", "", _cpu_cell([self.warm.run]))
            table.add_row("  all in the cache", *cells)
        return table

    def _references(self) -> Table:
        cosine = self.facts["least_cosine_to_references"]
        table = Table(title=f"The same job by others (least cosine of frames {cosine:.4f})")
        for name in ("", "moments/s", "frames/s", "CPU ms/moment", "worker is faster", "by CPU"):
            table.add_column(name, justify="right" if name else "left")
        for name in self.rounds[0].references:
            runs = [each.references[name] for each in self.rounds]
            faster = _factor(self._spread(partial(_times, name)))
            by_cpu = _factor(self._spread(partial(_times_in_cpu, name)))
            table.add_row(name, *_rate_cells(runs), _cpu_cell(runs), faster, by_cpu)
        return table

    def _stages(self) -> Table:
        table = Table(title="Time per stage: ms per Moment; stages overlap")
        table.add_column("")
        runs = {"embedded log": [each.embedded for each in self.rounds]}
        if on_kafka := [each.kafka.run for each in self.rounds if each.kafka]:
            runs["Kafka + Redis"] = on_kafka
        stages = sorted({stage for each in runs.values() for stage in each[0].stage_seconds})
        for stage in stages:
            table.add_column(stage, justify="right")
        for name, each in runs.items():
            table.add_row(name, *(_stage_cell(each, stage) for stage in stages))
        return table

    def _footprint(self) -> Table:
        table = Table(title="The worker's process")
        for name in ("", "measured", "target"):
            table.add_column(name)
        ready, peak = self._spread(_ready), self._spread(_peak)
        if ready and peak and (cpu := self._spread(_ready_cpu)):
            took = f"{ready['median']:.1f} s ({cpu['median']:.1f} s of CPU)"
            table.add_row("start to ready", took, f"{READY_TARGET:.0f} s")
            memory = f"{peak['max'] / 1e9:.2f} GB"
            table.add_row("peak resident memory", memory, f"{MEMORY_TARGET / 1e9:.1f} GB")
        if self.idle_share is not None:
            table.add_row("idle", f"{self.idle_share:.1%} of a core", f"{IDLE_TARGET:.0%}")
        return table

    def _spread(self, value: Callable[[Round], float | None]) -> dict[str, float] | None:
        """Return median, min and max over the rounds that have the value."""
        values = [each for each in map(value, self.rounds) if each is not None]
        if not values:
            return None
        return {"median": median(values), "min": min(values), "max": max(values)}


def _embedded_ratio(each: Round) -> float:
    return each.embedded.moments_per_second / each.bare.moments_per_second


def _cpu_ratio(each: Round) -> float:
    return each.bare.cpu_ms_per_moment / each.embedded.cpu_ms_per_moment


def _kafka_ratio(each: Round) -> float | None:
    if each.kafka is None:
        return None
    return each.kafka.run.moments_per_second / each.bare.moments_per_second


def _times(reference: str, each: Round) -> float | None:
    """Return how many times as fast the worker is on Kafka and Redis."""
    if each.kafka is None:
        return None
    return each.kafka.run.moments_per_second / each.references[reference].moments_per_second


def _times_in_cpu(reference: str, each: Round) -> float | None:
    """Return how many times its CPU time a Moment takes there."""
    if each.kafka is None:
        return None
    return each.references[reference].cpu_ms_per_moment / each.kafka.run.cpu_ms_per_moment


def _ready(each: Round) -> float | None:
    return None if each.kafka is None else each.kafka.ready_seconds


def _ready_cpu(each: Round) -> float | None:
    return None if each.kafka is None else each.kafka.ready_cpu_seconds


def _peak(each: Round) -> float | None:
    return None if each.kafka is None else each.kafka.peak_bytes


def _rate_cells(runs: Sequence[Run]) -> tuple[str, str]:
    rates = [run.moments_per_second for run in runs]
    frames = median(run.frames / run.wall_seconds for run in runs)
    spread = f" ({min(rates):.1f}..{max(rates):.1f})" if len(rates) > 1 else ""
    return f"{median(rates):.1f}{spread}", f"{frames:.0f}"


def _cpu_cell(runs: Sequence[Run]) -> str:
    return f"{median(run.cpu_ms_per_moment for run in runs):.1f}"


def _stage_cell(runs: Sequence[Run], stage: str) -> str:
    values = [1000 * run.stage_seconds.get(stage, 0) / run.moments for run in runs]
    return f"{median(values):.2f}"


def _percent(spread: Mapping[str, float] | None) -> tuple[str]:
    if spread is None:
        return ("",)
    return (f"{spread['median']:.0%} ({spread['min']:.0%}..{spread['max']:.0%})",)


def _factor(spread: Mapping[str, float] | None) -> str:
    if spread is None:
        return ""
    return f"{spread['median']:.1f} x ({spread['min']:.1f}..{spread['max']:.1f})"
