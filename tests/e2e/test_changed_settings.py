"""Settings that give waiting events another meaning: refused, until the operator has decided."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from tests.e2e.footage import by_second, camera, long_ago
from tests.e2e.site import Site, mmworker, running, write_config
from worker.demo.services import LocalKafka

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


def test_after_a_drain_a_changed_window_is_taken_up_and_nothing_is_lost_or_twice(
    kafka_server: LocalKafka, tmp_path_factory: pytest.TempPathFactory
) -> None:
    site = Site(
        kafka_server,
        tmp_path_factory.mktemp("drained"),
        partitions=2,
        settings={"pairing.idle_timeout_seconds": 3600},
    )
    start = long_ago(time.time_ns() // 1000, 60)
    before, after = (
        [site.outputs_of(part) for part in by_second(camera("/cameras/gate", begin, 12))]
        for begin in (start, start + 20_000_000)
    )
    sent = site.send(before)
    with running(site) as worker:
        worker.wait_for(lambda: len(site.observations()) >= 8)
        assert worker.terminate() == 0
    assert site.committed() != site.ends()

    file = site.directory / "mmworker.yaml"
    drained = mmworker("run", "--drain", "--config", file)
    assert drained.returncode == 0, drained.stderr
    closed = [one for one in site.observations() if one.closed_by == "silence"]
    assert closed
    told = f"Drained: {len(closed)} open Moments closed; partitions here: 0, 1"
    assert drained.stdout.strip() == told
    assert site.committed() == site.ends()

    pairing = site.config.pairing.model_copy(update={"window_seconds": 2.0})
    write_config(site.config.model_copy(update={"pairing": pairing}), file)
    sent += site.send(after)
    with running(site) as worker:
        worker.wait_for(lambda: len(site.observations()) >= 12 + 4)
        assert worker.terminate() == 0
    again = mmworker("run", "--drain", "--config", file)
    assert again.returncode == 0, again.stderr
    seen = Counter(
        (one.topic, one.partition, one.offset)
        for each in site.observations()
        for one in each.inputs
        if not one.carried
    )
    assert len(seen) == sent
    assert set(seen.values()) == {1}
    lengths = {one.window_end - one.window_start for one in site.observations()[-3:]}
    assert lengths == {2_000_000}


def test_a_changed_window_is_refused_and_the_named_command_lets_it_begin_anew(
    kafka_server: LocalKafka, tmp_path_factory: pytest.TempPathFactory
) -> None:
    site = Site(
        kafka_server,
        tmp_path_factory.mktemp("changed"),
        partitions=1,
        settings={"pairing.idle_timeout_seconds": 3600},
    )
    start = long_ago(time.time_ns() // 1000, 60)
    site.send([site.outputs_of(part) for part in by_second(camera("/cameras/gate", start, 20))])
    with running(site) as worker:
        worker.wait_for(lambda: len(site.observations()) >= 15)
        assert worker.terminate() == 0
    waiting = {each: end - site.committed()[each] for each, end in site.ends().items()}
    assert any(waiting.values())

    pairing = site.config.pairing.model_copy(update={"window_seconds": 2.0})
    file = site.directory / "mmworker.yaml"
    write_config(site.config.model_copy(update={"pairing": pairing}), file)
    refused = mmworker("run", "--config", file)
    assert refused.returncode == 2, refused.stderr
    last = refused.stderr.strip().splitlines()[-1]
    assert "window_seconds was 1 and is 2" in last
    assert "`mmworker run --drain`" in last
    assert "`mmworker topics offsets --to committed`" in last

    moved = mmworker("topics", "offsets", "--to", "committed", "--yes", "--config", file)
    assert moved.returncode == 0, moved.stderr
    before = len(site.observations())
    site.send(
        [
            site.outputs_of(part)
            for part in by_second(camera("/cameras/gate", start + 20_000_000, 20))
        ]
    )
    with running(site) as worker:
        worker.wait_for(lambda: len(site.observations()) >= before + 8)
        assert worker.terminate() == 0
