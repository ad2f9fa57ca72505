"""A worker is killed, its successor catches up and is stopped under load."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.e2e.accounts import OPEN_TRANSACTION_SECONDS, Ends, Snapshot, positions, snapshot
from tests.e2e.footage import SECOND, by_second, camera, long_ago
from tests.e2e.site import STOP_SECONDS, Site, WorkerProcess, running, total
from worker.core.messages import observation_id
from worker.core.ports import Output
from worker.demo.services import LocalKafka

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

SOURCES = ("/cameras/gate", "/cameras/yard")  # one on each partition
BEFORE, AFTER = 40, 80  # seconds of footage for the first and for the second worker
PAUSE = 0.1  # between two seconds of footage
MOMENTS = "mmworker_moments_total{"


@dataclass(frozen=True)
class Story:
    """Both workers, the state after each, and where the inputs ended at that time."""

    start: int
    killed: Snapshot
    ends_at_kill: Ends
    ends_before: Ends  # when all was sent that is for the first worker
    stopped: Snapshot
    ends: Ends
    exit_code: int
    stop_seconds: float


@pytest.fixture(scope="module")
def story(kafka_server: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Story:
    settings = {"kafka.session_timeout_seconds": 4}
    site = Site(kafka_server, tmp_path_factory.mktemp("crash"), settings, partitions=2)
    start = long_ago(time.time_ns() // 1000, 300)
    events = [event for source in SOURCES for event in camera(source, start, BEFORE + AFTER)]
    parts = [site.outputs_of(second) for second in by_second(events)]
    with running(site) as first, sending(site, parts[:BEFORE]):
        first.wait_for(lambda: total(first.metrics(), MOMENTS) >= 20)
        first.wait_for(lambda: bool(site.observations()))  # judged is not committed yet
        first.kill()
        ends_at_kill = site.ends()
    killed, ends_before = snapshot(site), site.ends()
    backlog = sum(ends_before.values()) - sum(killed.committed.values())
    with running(site) as second, sending(site, parts[BEFORE:]):
        caught_up = backlog + 20
        second.wait_for(lambda: paired(second) >= caught_up, OPEN_TRANSACTION_SECONDS)
        began = time.monotonic()
        exit_code = second.terminate()
        stop_seconds = time.monotonic() - began
    return Story(
        start=start,
        killed=killed,
        ends_at_kill=ends_at_kill,
        ends_before=ends_before,
        stopped=snapshot(site),
        ends=site.ends(),
        exit_code=exit_code,
        stop_seconds=stop_seconds,
    )


def test_the_first_worker_was_killed_in_the_middle(story: Story) -> None:
    assert len(story.ends) == 6 and all(story.ends.values())
    assert story.killed.observations
    assert sum(story.killed.committed.values()) < sum(story.ends_at_kill.values())


def test_a_kill_loses_nothing_that_was_committed(story: Story) -> None:
    assert not story.killed.lost


def test_its_successor_brings_every_event_into_an_observation(story: Story) -> None:
    assert positions(story.ends_before) <= story.stopped.covered
    assert story.stopped.elsewhere == 0


def test_offsets_never_go_back(story: Story) -> None:
    assert all(story.stopped.committed[p] >= end for p, end in story.killed.committed.items())


def test_sigterm_under_load_ends_the_worker_in_time_and_without_a_failure(story: Story) -> None:
    assert story.exit_code == 0
    assert story.stop_seconds < STOP_SECONDS
    assert sum(story.stopped.committed.values()) < sum(story.ends.values())


def test_a_stop_loses_nothing_that_was_committed(story: Story) -> None:
    assert not story.stopped.lost


def test_no_event_is_in_two_observations_and_no_observation_is_there_twice(story: Story) -> None:
    assert not story.stopped.repeats


def test_a_moment_has_the_same_id_whichever_worker_saw_it(story: Story) -> None:
    ids = {each.observation_id for each in story.stopped.observations}
    for each in story.stopped.observations:
        window = each.window_start
        assert window % SECOND == story.start % SECOND == 0
        assert each.observation_id == observation_id(each.source, window, window + SECOND, None)
    seconds = range(story.start, story.start + BEFORE * SECOND, SECOND)
    expected = {observation_id(s, each, each + SECOND, None) for s in SOURCES for each in seconds}
    assert expected <= ids


def paired(worker: WorkerProcess) -> int:
    return worker.tally().outcomes["paired"]


@contextmanager
def sending(site: Site, parts: list[list[Output]]) -> Iterator[None]:
    """Send on a thread of its own; at the end all is sent."""
    thread = threading.Thread(target=site.send, args=(parts, PAUSE))
    thread.start()
    try:
        yield
    finally:
        thread.join()
