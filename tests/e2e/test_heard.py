"""What people say reaches a worker over a real Kafka: an Observation has it, or a dead letter."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.e2e.site import Site, running
from tests.runtime.builders import footage
from worker.cli.app import app
from worker.core.ports import Output
from worker.demo.services import LocalKafka
from worker.errors import Reason

SAID = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"said-1"),
    ("ce_source", b"/cameras/a"),
    ("ce_type", b"multimodal.feedback.v1"),
    ("ce_time", b"2026-03-14T09:26:53Z"),
    ("content-type", b"application/json"),
)

pytestmark = pytest.mark.kafka


def test_each_word_is_heeded_once_or_a_dead_letter(
    kafka_server: LocalKafka, tmp_path: Path
) -> None:
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
        done = CliRunner().invoke(app, ["learn-anew", "/cameras/nobody", "--config", config])
        assert done.exit_code == 0, done.output
        feedback = site.config.topics.feedback
        site.send([[Output(feedback, b"/cameras/a", b"no JSON", SAID)]])
        worker.wait_for(lambda: worker.tally().consumed == len(early) + 3)
        site.send([late])
        tally = worker.await_settled(len(outputs) + 3)
        assert tally.reconciles
        assert worker.terminate() == 0
    effects = [each.effect for one in site.observations() for each in one.heeded]
    assert effects == ["restarted"]
    letters = site.read(site.config.topics.dead_letters)
    reasons = [(dict(each.headers)["mmworker.error.reason"] or b"").decode() for each in letters]
    assert sorted(reasons) == [Reason.INVALID_FEEDBACK, Reason.UNKNOWN_SOURCE]
