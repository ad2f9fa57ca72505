"""Redis may hang, die and be missing: the results are those of a run without it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pytest

from tests.e2e.footage import by_second, camera, long_ago
from tests.e2e.site import Site, running, total
from worker.core.events import Record
from worker.core.messages import Observation, read_observation
from worker.demo import embedded
from worker.demo.services import LocalKafka, LocalRedis, local_redis
from worker.runtime.assemble import build_encoders

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

SOURCES = ("/cameras/left", "/cameras/right")  # they see the same, so that the cache has hits
SECONDS = 50
HEALTHY, HUNG, BACK = 15, 10, 15  # seconds of footage in each state of Redis; it dies after them
SETTINGS = {"pairing.idle_timeout_seconds": 5, "limits.near_cache_bytes": 0}

HITS = 'mmworker_cache_requests_total{result="hit"}'
FAULTS = 'mmworker_cache_requests_total{result="error"}'
BYPASSED = 'mmworker_cache_requests_total{result="bypass"}'
DEGRADED = 'mmworker_degraded{component="redis"}'


@dataclass(frozen=True)
class Runs:
    """The Observations of a run with a faulty Redis and of one without any, by id."""

    faulty: dict[str, Observation]
    without: dict[str, Observation]
    exposition: str


@pytest.fixture(scope="module")
def runs(
    kafka_server: LocalKafka, redis_server: LocalRedis, tmp_path_factory: pytest.TempPathFactory
) -> Runs:
    start = long_ago(time.time_ns() // 1000, 120)
    seconds = by_second([e for source in SOURCES for e in camera(source, start, SECONDS)])
    events = [event for second in seconds for event in second]
    with local_redis() as redis:
        settings = {**SETTINGS, "redis.url": redis.url}
        site = Site(kafka_server, tmp_path_factory.mktemp("redis"), settings)
        parts = iter([site.outputs_of(second) for second in seconds])
        with running(site) as worker:
            site.send(islice(parts, HEALTHY))
            worker.wait_for(lambda: total(worker.metrics(), HITS) > 0)
            os.kill(redis.pid, signal.SIGSTOP)
            site.send(islice(parts, HUNG))
            worker.wait_for(lambda: total(worker.metrics(), DEGRADED) == 1)
            os.kill(redis.pid, signal.SIGCONT)
            site.send(islice(parts, BACK), pause=0.5)
            worker.wait_for(lambda: total(worker.metrics(), DEGRADED) == 0)
            redis.kill()
            site.send(parts)
            worker.wait_for(lambda: total(worker.metrics(), DEGRADED) == 1)
            worker.await_settled(len(events))
            exposition = worker.metrics()
            assert worker.terminate() == 0
    topic = site.config.topics.observations
    played = embedded.play(site.config, build_encoders(site.config), events)
    return Runs(by_id(site.read(topic)), by_id(played.records[topic]), exposition)


def test_redis_helped_hung_and_died_while_events_came(runs: Runs) -> None:
    for series in (HITS, FAULTS, BYPASSED):
        assert total(runs.exposition, series) > 0


def test_the_same_moments_are_observed_from_the_same_events(runs: Runs) -> None:
    assert len(runs.without) == len(SOURCES) * SECONDS
    assert told(runs.faulty) == told(runs.without)


def test_embeddings_and_features_are_the_same(runs: Runs) -> None:
    for name, one in runs.faulty.items():
        other = runs.without[name]
        np.testing.assert_allclose(one.embedding, other.embedding, atol=2e-3)
        assert one.features.keys() == other.features.keys()
        for feature, values in one.features.items():
            np.testing.assert_allclose(values, other.features[feature], atol=2e-3, rtol=2e-3)


def test_the_same_is_decided(runs: Runs) -> None:
    judged = 0
    for name, one in runs.faulty.items():
        other = runs.without[name]
        assert one.decision == other.decision
        assert one.assessment.warming_up == other.assessment.warming_up
        assert (one.assessment.p_value is None) == (other.assessment.p_value is None)
        if one.assessment.p_value is not None:
            judged += 1
            assert one.assessment.p_value == pytest.approx(other.assessment.p_value, rel=0.1)
    assert judged


def by_id(records: Sequence[Record]) -> dict[str, Observation]:
    observations = [read_observation(record.value or b"") for record in records]
    assert len({each.observation_id for each in observations}) == len(observations)
    return {each.observation_id: each for each in observations}


def told(observations: dict[str, Observation]) -> dict[str, object]:
    return {
        name: (
            each.modalities,
            sorted((one.modality, one.id, one.carried) for one in each.inputs),
        )
        for name, each in observations.items()
    }
