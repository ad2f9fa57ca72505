"""A rolling update under load: a worker comes, another leaves by SIGTERM, and nobody can tell.

It starts cheaply: one worker of each generation. `make chaos` has three at a time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from tests.e2e.accounts import Ends, Snapshot, positions, snapshot
from tests.e2e.footage import by_second, camera, long_ago
from tests.e2e.site import STOP_SECONDS, Site, WorkerProcess, running, total
from worker.core.ports import Output
from worker.demo.services import LocalKafka

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]

SOURCES = ("/cameras/gate", "/cameras/yard")  # one on each partition
SECONDS = 600  # of footage, more than is sent
PAUSE = 0.5  # between two seconds of footage: twice real time, room to start others
MOMENTS = "mmworker_moments_total{"
PARTITIONS = "mmworker_assigned_partitions{"
ALL_PARTITIONS = 8  # two of each input, feedback included


@dataclass(frozen=True)
class Update:
    """How the workers left, and what became of the events."""

    exit_codes: list[int]
    stop_seconds: float  # the longest
    ends_before: Ends  # of the inputs, when the new worker was started
    ends_after: Ends  # when the old one had left
    outcome: Snapshot


@pytest.fixture(scope="module")
def update(kafka_server: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Update:
    settings = {"models.frames_per_moment": 1}  # less to encode: others start meanwhile
    site = Site(kafka_server, tmp_path_factory.mktemp("rolling"), settings, partitions=2)
    successor = site.beside(tmp_path_factory.mktemp("successor"))
    start = long_ago(time.time_ns() // 1000, 2 * SECONDS)
    events = [event for source in SOURCES for event in camera(source, start, SECONDS)]
    with ExitStack() as stack:
        old = stack.enter_context(running(site))
        with sending(site, [site.outputs_of(part) for part in by_second(events)]):
            old.wait_for(lambda: total(old.metrics(), MOMENTS) > 20)
            ends_before = site.ends()
            new = stack.enter_context(running(successor))
            left = [timed_stop(old)]
            ends_after = site.ends()
            new.wait_for(lambda: total(new.metrics(), PARTITIONS) == ALL_PARTITIONS)
            new.wait_for(lambda: reached(site, ends_after))
        left.append(timed_stop(new))
    return Update(
        exit_codes=[code for code, _ in left],
        stop_seconds=max(seconds for _, seconds in left),
        ends_before=ends_before,
        ends_after=ends_after,
        outcome=snapshot(site),
    )


def test_each_worker_leaves_in_time_and_without_a_failure(update: Update) -> None:
    assert update.exit_codes == [0, 0]
    assert update.stop_seconds < STOP_SECONDS


def test_events_came_all_the_while(update: Update) -> None:
    assert sum(update.ends_after.values()) > sum(update.ends_before.values())


def test_every_event_is_in_one_observation(update: Update) -> None:
    assert positions(update.ends_after) <= update.outcome.covered
    assert not update.outcome.lost
    assert not update.outcome.repeats
    assert update.outcome.elsewhere == 0


def timed_stop(worker: WorkerProcess) -> tuple[int, float]:
    began = time.monotonic()
    return worker.terminate(), time.monotonic() - began


def reached(site: Site, ends: Ends) -> bool:
    time.sleep(1)  # each look takes a connection
    committed = site.committed()
    return all(committed[partition] >= end for partition, end in ends.items())


@contextmanager
def sending(site: Site, seconds: Sequence[list[Output]]) -> Iterator[None]:
    """Send second after second on a thread of its own, to the end of the block."""
    enough = threading.Event()

    def parts() -> Iterator[list[Output]]:
        for second in seconds:
            if enough.is_set():
                return
            yield second

    thread = threading.Thread(target=site.send, args=(parts(), PAUSE))
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()
