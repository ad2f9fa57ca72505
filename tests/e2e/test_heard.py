"""What people say reaches a worker over a real Kafka, and stands in one Observation."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.e2e.site import Site, running
from tests.runtime.builders import footage
from worker.cli.app import app
from worker.demo.services import LocalKafka

pytestmark = pytest.mark.kafka


def test_a_word_about_a_source_is_heeded_once(kafka_server: LocalKafka, tmp_path: Path) -> None:
    site = Site(kafka_server, tmp_path, partitions=2)
    outputs = site.outputs_of(footage(12))
    early, late = outputs[: len(outputs) // 2], outputs[len(outputs) // 2 :]
    with running(site) as worker:
        worker.await_ready()
        site.send([early])
        worker.wait_for(lambda: worker.tally().consumed >= len(early))
        config = str(tmp_path / "mmworker.yaml")
        done = CliRunner().invoke(app, ["learn-anew", "/cameras/a", "--config", config])
        assert done.exit_code == 0, done.output
        worker.wait_for(lambda: worker.tally().consumed > len(early))
        site.send([late])
        tally = worker.await_settled(len(outputs) + 1)
        assert tally.reconciles
        assert worker.terminate() == 0
    effects = [each.effect for one in site.observations() for each in one.heeded]
    assert effects == ["restarted"]
