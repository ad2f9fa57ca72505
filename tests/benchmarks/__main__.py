"""`make bench`: plays a scenario with the benchmark that it names; the results are JSON files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tests.benchmarks import overload, scale, throughput, workers
from tests.benchmarks.command import run
from tests.benchmarks.page import write_page
from tests.benchmarks.scenario import Crowd, Group, Rush, read_scenario
from worker.runtime import logs


def main(
    output: Annotated[Path, typer.Option(help="Directory for the results.")] = Path("out/bench"),
    rounds: Annotated[int, typer.Option(min=1, help="Interleaved rounds.")] = 3,
    scenario: Annotated[
        str, typer.Option(help="A name in tests/benchmarks/scenarios, or a TOML file.")
    ] = "busy",
    kafka: Annotated[bool, typer.Option(help="Also on real Kafka and Redis.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print results.json.")] = False,
) -> None:
    """Play a scenario, write what was measured, and draw all results of the directory."""
    logs.configure("warning", "console")
    plays = read_scenario(scenario)
    output.mkdir(parents=True, exist_ok=True)
    match plays:
        case Rush():
            overload.measure(plays, output)
        case Crowd():
            scale.measure(plays, output)
        case Group():
            workers.measure(plays, output)
        case _:
            throughput.measure(plays, output, rounds, kafka=kafka, as_json=as_json)
    write_page(output)


if __name__ == "__main__":
    run(main, "bench")
