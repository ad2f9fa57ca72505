"""`mmworker replay` over the topic itself, on a real Kafka."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from tests.cli.letters import commit
from tests.e2e.site import Site
from tests.runtime.builders import config, footage, in_time_order
from tests.runtime.test_replay import QUICK, observed
from worker.cli.app import app
from worker.core.messages import to_json
from worker.core.ports import Output
from worker.demo.services import LocalKafka
from worker.errors import OperatorError
from worker.runtime.replay import partition_of

pytestmark = pytest.mark.kafka
SCORING: dict[str, object] = {key.replace("__", "."): value for key, value in QUICK.items()}


@pytest.fixture
def site(kafka_server: LocalKafka, tmp_path: Path) -> Site:
    return Site(kafka_server, tmp_path, SCORING, partitions=2)


def replayed(site: Site, *more: str) -> Result:
    other = site.directory / "other.yaml"
    written = yaml.safe_load((site.directory / "mmworker.yaml").read_text())
    written["scoring"] |= {"false_alarms_per_day": 0}
    other.write_text(yaml.safe_dump(written))
    options = ["--config", str(site.directory / "mmworker.yaml"), "--with", str(other)]
    return CliRunner().invoke(app, ["replay", *options, "--json", *more])


def test_the_committed_observations_of_all_partitions_are_decided_anew(site: Site) -> None:
    seen = observed(
        config(**QUICK), in_time_order(*(footage(40, f"/cameras/{name}") for name in "abcdefgh"))
    )
    assert {partition_of(each) for each in seen} == {0, 1}
    topic = site.config.topics.observations
    commit(
        site,
        [Output(topic, b"x", to_json(each), (), partition_of(each)) for each in seen],
    )
    document: dict[str, Any] = json.loads(replayed(site).stdout)
    assert document["observations"] == len(seen)
    assert document["differing_from_record"] == 0
    assert document["counts"]["lost"] == document["before"]["alerts"] > 0


def test_an_empty_topic_is_told_in_a_sentence(site: Site) -> None:
    done = replayed(site)
    assert isinstance(done.exception, OperatorError)
    assert "there are no Observations" in str(done.exception)
