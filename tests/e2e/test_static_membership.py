"""Workers with names of their own in the group: back at once after a crash, and never twice."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from tests.e2e.footage import by_second, camera, long_ago
from tests.e2e.site import Site, WorkerProcess, running
from worker.demo.services import LocalKafka

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]


def test_a_killed_worker_is_back_before_its_session_ends_and_one_of_two_with_a_name_ends(
    kafka_server: LocalKafka, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = {
        "kafka.group_instance_id": "one",
        "kafka.session_timeout_seconds": 240,  # longer than this test: nobody waits for it
    }
    site = Site(kafka_server, tmp_path_factory.mktemp("static"), settings)
    start = long_ago(time.time_ns() // 1000, 60)
    seconds = [site.outputs_of(part) for part in by_second(camera("/cameras/gate", start, 24))]
    sent = site.send(seconds[:12])
    with running(site) as first:
        first.wait_for(lambda: len(site.observations()) >= 8)
        first.kill()
    sent += site.send(seconds[12:])
    with running(site) as second:
        second.wait_for(lambda: len(site.observations()) >= 24)
        seen = Counter(
            (one.topic, one.offset)
            for each in site.observations()
            for one in each.inputs
            if not one.carried
        )
        assert len(seen) == sent
        assert set(seen.values()) == {1}

        third = WorkerProcess(site.beside(tmp_path_factory.mktemp("third")))
        try:
            assert second.await_end() == 1
            assert "mmworker: another worker has joined with this one's" in second.log
            assert third.terminate() == 0
        finally:
            third.kill()
