"""The figures of delivery as tables and as JSON, each beside its target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks.alert_delay import AlertDelays
from tests.benchmarks.recovery import RecoveryResult
from tests.benchmarks.transactions import Pair

RECOVERY_TARGET = 10.0  # seconds
OVERHEAD_TARGET = 0.05  # of throughput
DELAY_TARGET = 1.5  # seconds beyond window and grace


@dataclass(frozen=True, slots=True)
class DeliveryResults:
    """What was measured; what was not asked for is empty. `facts`: machine, versions, settings."""

    facts: Mapping[str, Any]
    recoveries: Sequence[RecoveryResult]
    pairs: Mapping[str, Sequence[Pair]]  # by state of the cache
    delays: AlertDelays | None
    delay_target: float  # seconds

    def document(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            **self.facts,
            "recovery": [
                {**asdict(each), "seconds": each.recovery.seconds} for each in self.recoveries
            ],
            "transactions": {
                name: {"pairs": [asdict(each) for each in pairs], **_spreads(pairs)}
                for name, pairs in self.pairs.items()
            },
            "alert_delay": None if self.delays is None else self._delay(self.delays),
        }

    def show(self, console: Console) -> None:
        """Print the tables."""
        if self.recoveries:
            console.print(_recovery_table(self.recoveries))
        if self.pairs:
            console.print(_overhead_table(self.pairs))
        if self.delays is not None:
            console.print(self._delay_table(self.delays))

    def _delay(self, delays: AlertDelays) -> dict[str, Any]:
        points = {f"p{each}": delays.percentile(each) for each in (50, 99)}
        return {**asdict(delays), **points, "target_p50": self.delay_target}

    def _delay_table(self, delays: AlertDelays) -> Table:
        table = _table(
            "From event to alert, at half load",
            (
                "alerts",
                "injected",
                "others",
                "load",
                "median",
                "p99",
                "longest",
                "median since onset",
                "target median",
            ),
        )
        table.add_row(
            str(len(delays.seconds)),
            str(delays.injected),
            str(delays.other),
            f"{delays.moments_per_second} Moments/s",
            *map(_seconds, (delays.percentile(50), delays.percentile(99))),
            _seconds(max(delays.seconds, default=None)),
            _seconds(median(delays.onset_seconds) if delays.onset_seconds else None),
            f"{self.delay_target:.1f} s",
        )
        return table


def _recovery_table(results: Sequence[RecoveryResult]) -> Table:
    table = _table(
        f"Recovery of all indices by one worker: target {RECOVERY_TARGET:.0f} s",
        (
            "sources / indices",
            "older Observations",
            "total",
            "CPU",
            "reading snapshots",
            "decoding",
            "reading Observations",
            "relearning",
            "process after kill -9",
        ),
    )
    for each in results:
        told, restart = each.recovery, each.restart
        table.add_row(
            f"{each.case.sources} / {each.case.indices}",
            f"{each.case.older} ({each.older_bytes / 1e9:.1f} GB)",
            f"{told.seconds:.1f} s",
            f"{told.cpu_seconds:.1f} s",
            f"{told.snapshots.seconds:.1f} s, {told.snapshots.bytes / 1e6:.0f} MB",
            f"{told.decode_seconds:.1f} s",
            f"{told.observations.seconds:.1f} s, {told.observations.records} records",
            f"{told.relearn_seconds:.1f} s",
            ""
            if restart is None
            else f"{restart.second_seconds:.1f} s (fresh {restart.fresh_seconds:.1f} s)",
        )
    return table


def _overhead_table(pairs: Mapping[str, Sequence[Pair]]) -> Table:
    table = _table(
        f"Transactions at full load: target under {OVERHEAD_TARGET:.0%} of throughput",
        ("cache", "with, moments/s", "without, moments/s", "overhead", "overhead in CPU time"),
    )
    for name, each in pairs.items():
        spreads = _spreads(each)
        table.add_row(
            name,
            f"{median(pair.transactions.moments_per_second for pair in each):.1f}",
            f"{median(pair.plain.moments_per_second for pair in each):.1f}",
            _range(spreads["overhead"]),
            _range(spreads["cpu_overhead"]),
        )
    return table


def _spreads(pairs: Sequence[Pair]) -> dict[str, dict[str, float]]:
    return {
        "overhead": _spread([pair.overhead for pair in pairs]),
        "cpu_overhead": _spread([pair.cpu_overhead for pair in pairs]),
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": median(values), "min": min(values), "max": max(values)}


def _seconds(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f} s"


def _range(spread: Mapping[str, float]) -> str:
    return f"{spread['median']:.1%} ({spread['min']:.1%}..{spread['max']:.1%})"


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title)
    for name in columns:
        table.add_column(name)
    return table
