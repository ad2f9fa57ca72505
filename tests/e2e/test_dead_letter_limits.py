"""Producers that send nothing but garbage stop the worker, which repeats none of it."""

from __future__ import annotations

import time

import pytest

from tests.e2e.footage import by_second, camera, long_ago
from tests.e2e.site import Site, mmworker, running
from worker.core.ports import Output, TopicPartition
from worker.demo.services import LocalKafka

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]

GARBAGE = 1600


def test_garbage_from_several_cameras_stops_the_worker_and_a_restart_goes_on_behind_it(
    kafka_server: LocalKafka, tmp_path_factory: pytest.TempPathFactory
) -> None:
    site = Site(kafka_server, tmp_path_factory.mktemp("garbage"))
    frames, file = site.inputs["frame"], site.directory / "mmworker.yaml"
    garbage = [
        Output(frames, f"/cameras/{number % 4}".encode(), b"garbage") for number in range(GARBAGE)
    ]
    site.send([garbage])
    stopped = mmworker("run", "--config", file)
    assert stopped.returncode == 1, stopped.stderr
    last = stopped.stderr.strip().splitlines()[-1]
    assert f"from topic {frames} with reason missing_header" in last
    assert "limits.max_dead_letter_ratio (0.95)" in last
    kept = len(site.read(site.config.topics.dead_letters))
    assert 1000 <= kept <= GARBAGE
    assert site.committed()[TopicPartition(frames, 0)] == kept

    start = long_ago(time.time_ns() // 1000, 60)
    site.send([site.outputs_of(part) for part in by_second(camera("/cameras/gate", start, 12))])
    with running(site) as worker:
        worker.wait_for(lambda: len(site.observations()) >= 12)
        assert worker.terminate() == 0
    assert len(site.read(site.config.topics.dead_letters)) == GARBAGE
