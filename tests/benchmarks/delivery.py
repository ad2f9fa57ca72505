"""What the guarantees cost, and how fast they are kept: `make bench-delivery`.

Three parts: the recovery of very many sources, the price of transactions, the delay of alerts.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from rich.console import Console

from tests.benchmarks import alert_delay, measure, recovery
from tests.benchmarks.alert_delay import AlertDelays
from tests.benchmarks.backlog import build, moments_of
from tests.benchmarks.command import run
from tests.benchmarks.delivery_results import DELAY_TARGET, DeliveryResults
from tests.benchmarks.on_kafka import stage
from tests.benchmarks.recovery import Case, RecoveryResult
from tests.benchmarks.throughput import PARTITIONS, bare_shard
from tests.benchmarks.transactions import Contest, Pair
from worker.cli.options import config_of
from worker.config import Config
from worker.core.events import Modality
from worker.demo.services import local_kafka
from worker.models.base import Encoder
from worker.runtime.assemble import build_encoders, build_pipeline

SESSION_SECONDS = 6.0  # so that a killed worker is missed soon
CAP_BYTES = 4 << 30  # a thousand sources that have learned all they can are more than the default


class Part(StrEnum):
    """What can be measured."""

    RECOVERY = "recovery"
    TRANSACTIONS = "transactions"
    DELAY = "delay"


def main(
    output: Annotated[Path, typer.Option(help="Directory for delivery.json.")] = Path("out/bench"),
    part: Annotated[list[Part] | None, typer.Option(help="Measure these; default: all.")] = None,
    sources: Annotated[int, typer.Option(min=6, help="Sources to recover.")] = 1000,
    older: Annotated[
        list[int] | None,
        typer.Option(help="Observations of before, which need not be read; default: two sizes."),
    ] = None,
    windows: Annotated[
        int, typer.Option(min=1, help="Moments of each source that a worker judges after them.")
    ] = 12,
    processes: Annotated[bool, typer.Option(help="Also kill and restart worker processes.")] = True,
    rounds: Annotated[int, typer.Option(min=1, help="Pairs with and without transactions.")] = 5,
    takes: Annotated[int, typer.Option(min=1, help="How often 40 s of the scene are played.")] = 3,
    rate: Annotated[
        int, typer.Option(min=0, help="Moments/s of the alert delay; 0: half of what was measured.")
    ] = 0,
    warm_up: Annotated[float, typer.Option(help="Seconds without anything unusual.")] = 90,
    injecting: Annotated[float, typer.Option(help="Seconds in which lenses are covered.")] = 90,
    as_json: Annotated[bool, typer.Option("--json", help="Print delivery.json.")] = False,
) -> None:
    """Measure recovery, the price of transactions, and the delay of alerts."""
    console = Console(stderr=True)
    output.mkdir(parents=True, exist_ok=True)
    config = _config()
    bench = Bench(config, build_encoders(config), output, console)
    parts = part or list(Part)
    recoveries: list[RecoveryResult] = []
    pairs: dict[str, list[Pair]] = {}
    delays = None
    if Part.RECOVERY in parts:
        cases = [Case(sources, 1, each, windows) for each in older or (20_000, 200_000)]
        cases.append(Case(sources, 6, cases[0].older, windows * 2))
        recoveries = [bench.recovery(case, processes=processes) for case in cases]
    if Part.TRANSACTIONS in parts or (Part.DELAY in parts and not rate):
        pairs = bench.transactions(rounds, takes)
    if Part.DELAY in parts:
        delays = bench.delay(rate or _half(pairs), warm_up, injecting)
    pairing = config.pairing
    target = pairing.window_seconds + pairing.grace_seconds + DELAY_TARGET
    results = DeliveryResults(_facts(config), recoveries, pairs, delays, target)
    document = json.dumps(results.document(), indent=2)
    (output / "delivery.json").write_text(document + "\n", encoding="utf-8")
    if as_json:
        sys.stdout.write(document + "\n")
    else:
        results.show(Console())


class Bench:
    """What the parts have in common. Each starts services of its own."""

    def __init__(
        self,
        config: Config,
        encoders: Mapping[Modality, Encoder],
        output: Path,
        console: Console,
    ) -> None:
        self._config = config
        self._encoders = encoders
        self._output = output
        self._console = console

    def recovery(self, case: Case, *, processes: bool) -> RecoveryResult:
        """Recover in one case."""
        self._console.print(f"Recovery: {case}")
        with local_kafka() as kafka:
            reached = {"bootstrap_servers": kafka.bootstrap}
            config = self._config.model_copy(
                update={"kafka": self._config.kafka.model_copy(update=reached)}
            )
            result = recovery.measure(
                config, self._encoders, case, self._output, processes=processes
            )
        self._console.print(
            f"  {result.recovery.seconds:.1f} s, written in {result.work_seconds:.0f} s"
        )
        return result

    def transactions(self, rounds: int, takes: int) -> dict[str, list[Pair]]:
        """Run the pairs, with a cold cache and with a warm one."""
        self._console.print("Transactions: preparing")
        pipeline = build_pipeline(self._config, self._encoders)
        backlog = build(self._config, 40, takes)
        moments = sum(
            1 for _ in moments_of(self._config, backlog, bare_shard(self._config, pipeline))
        )
        pairs: dict[str, list[Pair]] = {"cold": [], "warm": []}
        with stage(self._config, backlog, PARTITIONS, self._output) as services:
            contest = Contest(services, pipeline, moments)
            contest.warm_up()
            for number in range(rounds):
                for name, found in pairs.items():
                    found.append(contest.pair(number, warm=name == "warm"))
                    self._console.print(f"  {name}: {found[-1].overhead:+.1%}")
        return pairs

    def delay(self, rate: int, warm_up: float, injecting: float) -> AlertDelays:
        """Measure the delay of alerts at so many Moments a second."""
        self._console.print(f"Alert delay: {rate} Moments/s, {warm_up + injecting:.0f} s")
        nothing = build(self._config, 5, 1)
        with stage(self._config, nothing, PARTITIONS, self._output) as services:
            return alert_delay.measure(services, rate, warm_up, injecting)


def _config() -> Config:
    config = config_of(None, {"models.overload": "off"})
    kafka = config.kafka.model_copy(update={"session_timeout_seconds": SESSION_SECONDS})
    limits = config.limits.model_copy(update={"max_resident_bytes": CAP_BYTES})
    return config.model_copy(update={"kafka": kafka, "limits": limits})


def _half(pairs: Mapping[str, list[Pair]]) -> int:
    rates = (pair.transactions.moments_per_second for pair in pairs["cold"])
    return max(1, round(median(rates) / 2))


def _facts(config: Config) -> dict[str, Any]:
    return {
        "machine": measure.machine(),
        "versions": measure.versions(),
        "commit": measure.commit(),
        "seed": config.scoring.seed,
        "command": sys.argv,
    }


if __name__ == "__main__":
    run(main, "bench-delivery")
