"""What reuse of embeddings spares the worker: a scenario with it and without, in turns.

python -m tests.benchmarks.reuse --scenario static-frames
"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from tests.benchmarks import embedded
from tests.benchmarks.backlog import moments_of, played
from tests.benchmarks.command import run
from tests.benchmarks.measure import Run
from tests.benchmarks.scenario import Scenario, read_scenario
from tests.benchmarks.throughput import PARTITIONS, bare_shard
from worker.cli.options import config_of
from worker.errors import OperatorError
from worker.runtime.assemble import build_encoders, build_pipeline


def main(
    scenario: Annotated[str, typer.Option(help="Name or file of a throughput scenario.")] = (
        "static"
    ),
    rounds: Annotated[int, typer.Option(min=1, max=20, help="Pairs of runs.")] = 2,
) -> None:
    """Go through a backlog over the log in memory, encoders with one thread."""
    console, plays = Console(), read_scenario(scenario)
    if not isinstance(plays, Scenario):
        raise OperatorError(f"{scenario} is no throughput scenario")
    usual = {"models.overload": "off", "models.threads": 1, **plays.settings}
    configs = {way: config_of(None, {**usual, "models.reuse": way}) for way in ("auto", "off")}
    encoders = build_encoders(configs["auto"])
    pipelines = {way: build_pipeline(config, encoders) for way, config in configs.items()}
    backlog = played(configs["off"], plays)
    shard = bare_shard(configs["off"], pipelines["off"])
    moments = sum(1 for _ in moments_of(configs["off"], backlog, shard))
    expected = Run(moments, backlog.frames, 0, 1.0, 1.0)
    for _ in range(rounds):
        auto, off = (
            embedded.run(configs[way], pipelines[way], backlog, PARTITIONS, expected)
            for way in ("auto", "off")
        )
        console.print(
            f"{moments} Moments: CPU {off.cpu_ms_per_moment:.1f} and {auto.cpu_ms_per_moment:.1f}"
            f" ms each without and with reuse, {off.cpu_seconds / auto.cpu_seconds:.1f} x; time"
            f" {off.wall_seconds / auto.wall_seconds:.1f} x"
        )


if __name__ == "__main__":
    run(main, "reuse")
