"""The short chaos proof, on a real Kafka and Redis; `make chaos` is the long one."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from tests.chaos.driver import Setup
from tests.chaos.faults import FAULTS, KILLS, OTHERS
from tests.chaos.run import perform, schedule
from tests.chaos.worker_process import STEPS
from tests.services.require import require
from worker.demo.services import kafka_available, redis_available

SEED = 20_260_101
SHORT = Setup(SEED, backlog_seconds=30, transaction_timeout=6)  # the broker lives all the time


@pytest.mark.kafka
@pytest.mark.redis
@pytest.mark.timeout(600)
def test_every_input_counts_once_whatever_happens_to_the_workers(tmp_path: Path) -> None:
    require(*kafka_available())
    require(*redis_available())
    # in a process of its own: clients of brokers that were stopped go on talking in their threads
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        kills, holds, lines = pool.submit(perform_short, tmp_path).result()
    assert kills >= len(STEPS)
    assert holds, "\n".join(lines)


def perform_short(directory: Path) -> tuple[int, bool, list[str]]:
    """Return the number of kills, whether all invariants hold, and what to tell of them."""
    result = perform(SHORT, [*STEPS, "halt", "join-leave"], directory, minutes=8)
    return result.kills, result.holds, list(result.lines())


def test_a_schedule_has_as_many_kills_as_asked_for_and_every_fault() -> None:
    faults = schedule(1, 100, [])
    assert sum(name in KILLS for name in faults) == 100
    assert set(faults) == set(FAULTS)
    assert schedule(1, 100, []) == faults != schedule(2, 100, [])


def test_a_schedule_can_be_of_one_kind_only() -> None:
    assert schedule(1, 3, ["after_send"]) == ["after_send"] * 3
    assert set(schedule(1, 100, ["broker"])) == {"broker"} <= set(OTHERS)
    assert schedule(1, 3, ["none"]) == []
