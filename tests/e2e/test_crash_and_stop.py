"""At least once: a worker is killed, its successor is stopped under load, a third one finishes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.e2e.footage import SECOND, by_second, camera, long_ago
from tests.e2e.site import STOP_SECONDS, Site, running, total
from worker.core.messages import Observation, observation_id
from worker.core.ports import Output, TopicPartition
from worker.demo.services import LocalKafka

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

SOURCES = ("/cameras/gate", "/cameras/yard", "/cameras/hall")
BEFORE, AFTER = 60, 60  # seconds of footage for the first and for the second worker
PAUSE = 0.1  # between two seconds of footage
# A transaction that was open at the crash hides what follows it until the broker gives it up.
OPEN_TRANSACTION_SECONDS = 90.0

MOMENTS = "mmworker_moments_total{"

Position = tuple[TopicPartition, int]


@dataclass(frozen=True)
class Snapshot:
    """What was committed and what was in outputs when a worker had gone."""

    committed: dict[TopicPartition, int]
    observations: list[Observation]
    elsewhere: int  # records among the late events and dead letters

    @property
    def covered(self) -> set[Position]:
        """The places of the inputs that are in an Observation of their own Moment."""
        return {
            (TopicPartition(each.topic, each.partition), each.offset)
            for observation in self.observations
            for each in observation.inputs
            if not each.carried
        }

    @property
    def lost(self) -> set[Position]:
        """Inputs that will never be read again and are in no output."""
        passed = {(p, offset) for p, end in self.committed.items() for offset in range(end)}
        return passed - self.covered


@dataclass(frozen=True)
class Story:
    """All three workers, and the state after each."""

    sent: list[Output]
    start: int
    killed: Snapshot
    ends_at_kill: dict[TopicPartition, int]
    stopped: Snapshot
    ends_at_stop: dict[TopicPartition, int]
    exit_codes: list[int]
    stop_seconds: float
    finished: Snapshot
    ends: dict[TopicPartition, int]


@pytest.fixture(scope="module")
def story(kafka_server: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Story:
    settings = {"kafka.session_timeout_seconds": 4}
    site = Site(kafka_server, tmp_path_factory.mktemp("crash"), settings, partitions=2)
    start = long_ago(time.time_ns() // 1000, 300)
    events = [event for source in SOURCES for event in camera(source, start, BEFORE + AFTER)]
    parts = [site.outputs_of(second) for second in by_second(events)]
    with running(site) as first, sending(site, parts[:BEFORE]):
        first.wait_for(lambda: total(first.metrics(), MOMENTS) >= 30)
        first.kill()
        ends_at_kill = site.ends()
    killed = snapshot(site)
    with running(site) as second, sending(site, parts[BEFORE:]):
        second.wait_for(lambda: total(second.metrics(), MOMENTS) >= 60, OPEN_TRANSACTION_SECONDS)
        ends_at_stop = site.ends()
        began = time.monotonic()
        exit_codes = [second.terminate()]
        stop_seconds = time.monotonic() - began
    stopped = snapshot(site)
    ends = site.ends()
    with running(site) as third:
        third.await_settled(sum(end - stopped.committed[each] for each, end in ends.items()))
        exit_codes.append(third.terminate())
    finished = snapshot(site)
    sent = [output for part in parts for output in part]
    return Story(
        sent=sent,
        start=start,
        killed=killed,
        ends_at_kill=ends_at_kill,
        stopped=stopped,
        ends_at_stop=ends_at_stop,
        exit_codes=exit_codes,
        stop_seconds=stop_seconds,
        finished=finished,
        ends=ends,
    )


def test_the_first_worker_was_killed_in_the_middle(story: Story) -> None:
    assert story.killed.observations
    assert all(story.killed.committed[each] < end for each, end in story.ends_at_kill.items())
    assert sum(story.ends_at_kill.values()) < sum(story.ends.values())


def test_a_kill_loses_nothing_that_was_committed(story: Story) -> None:
    assert not story.killed.lost


def test_sigterm_under_load_ends_the_worker_in_time_and_without_a_failure(story: Story) -> None:
    assert story.exit_codes == [0, 0]
    assert story.stop_seconds < STOP_SECONDS
    assert sum(story.ends_at_stop.values()) < sum(story.ends.values())
    assert sum(story.stopped.committed.values()) < sum(story.ends.values())


def test_a_stop_loses_nothing_that_was_committed(story: Story) -> None:
    assert not story.stopped.lost


def test_in_the_end_every_event_is_in_an_observation(story: Story) -> None:
    assert sum(story.ends.values()) == len(story.sent)
    expected = {(p, offset) for p, end in story.ends.items() for offset in range(end)}
    assert story.finished.covered == expected
    assert story.finished.elsewhere == 0


def test_offsets_never_go_back(story: Story) -> None:
    for earlier, later in ((story.killed, story.stopped), (story.stopped, story.finished)):
        assert all(later.committed[each] >= end for each, end in earlier.committed.items())


def test_a_moment_has_the_same_id_whichever_worker_saw_it(story: Story) -> None:
    windows = range(story.start, story.start + (BEFORE + AFTER) * SECOND, SECOND)
    expected = {
        observation_id(source, window, window + SECOND, None)
        for source in SOURCES
        for window in windows
    }
    assert {each.observation_id for each in story.finished.observations} == expected


@contextmanager
def sending(site: Site, parts: list[list[Output]]) -> Iterator[None]:
    """Send on a thread of its own; at the end all is sent."""
    thread = threading.Thread(target=site.send, args=(parts, PAUSE))
    thread.start()
    try:
        yield
    finally:
        thread.join()


def snapshot(site: Site) -> Snapshot:
    """Read what is there, again while an open transaction of a killed worker hides outputs."""
    deadline = time.monotonic() + OPEN_TRANSACTION_SECONDS
    while True:
        committed = site.committed()
        topics = site.config.topics
        elsewhere = [*site.read(topics.late_events), *site.read(topics.dead_letters)]
        taken = Snapshot(committed, site.observations(), len(elsewhere))
        if not taken.lost or time.monotonic() > deadline:
            return taken
        time.sleep(1)
