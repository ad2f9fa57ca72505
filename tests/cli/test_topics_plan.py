from __future__ import annotations

import json

from typer.testing import CliRunner, Result

from worker.cli.app import app
from worker.core.sizing import MEASURED


def planned(*options: object, environment: dict[str, str] | None = None) -> Result:
    words = [str(option) for option in options]
    return CliRunner().invoke(app, ["topics", "plan", *words], env=environment)


def test_a_plan_is_printed_for_people() -> None:
    done = planned("--cameras", 1000, "--fps", 10)
    assert done.exit_code == 0
    for word in ("workers", "partitions", "cores", "Redis", "topic observations"):
        assert word in done.stdout


def test_json_tells_the_plan_and_what_it_was_made_from() -> None:
    told = json.loads(planned("--cameras", 1000, "--fps", 10, "--json").stdout)
    assert told["plan"]["workers"] == 49
    assert told["workload"]["cameras"] == 1000
    assert told["figures"]["frame_bytes"] == MEASURED.frame_bytes


def test_own_figures_and_settings_take_the_place_of_the_measured_ones() -> None:
    told = json.loads(
        planned(
            *("--cameras", 1000, "--fps", 10, "--moments-per-second", 500, "--json"),
            *("--frame-bytes", 100_000, "--replication", 1),
            environment={
                "MMWORKER_PAIRING__WINDOW_SECONDS": "2",
                "MMWORKER_REDIS__TTL_SECONDS": "60",
            },
        ).stdout
    )
    assert told["plan"]["workers"] == 2
    assert told["plan"]["moments_per_second"] == 500
    assert told["plan"]["replication_bytes_per_second"] == 0
    assert told["workload"]["cache_seconds"] == 60


def test_nonsense_is_refused() -> None:
    assert planned("--cameras", 0, "--fps", 10).exit_code == 2
    assert planned("--cameras", 10, "--fps", "fast").exit_code == 2
