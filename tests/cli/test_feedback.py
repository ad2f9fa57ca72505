"""`mmworker feedback`: one record for one word about an alert that is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.cli.letters import commit, config_of
from tests.e2e.site import Site
from tests.schemas.files import faults, load_example, load_schema
from worker.cli.app import app
from worker.core.messages import Feedback, read_feedback
from worker.core.ports import Output
from worker.demo.services import LocalKafka
from worker.errors import OperatorError

OPENED = load_example("alert.open")
CLOSED = load_example("alert.close")
ALERT = OPENED["alert_id"]


@pytest.fixture(scope="module")
def site(kafka_server: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = Site(kafka_server, tmp_path_factory.mktemp("feedback"), partitions=2)
    values = [
        b"not an alert " + ALERT.encode(),
        *(json.dumps(o).encode() for o in (CLOSED, OPENED)),
    ]
    commit(made, [Output(made.config.topics.alerts, b"x", value) for value in values])
    return made


def said(site: Site, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["feedback", *arguments, *config_of(site)])


@pytest.mark.kafka
def test_a_word_about_an_alert_becomes_one_valid_cloud_event(site: Site) -> None:
    done = said(site, ALERT, "--verdict", "normal", "--who", "op-7", "--comment", "A gardener.")
    assert done.exit_code == 0, done.output
    assert OPENED["source"] in done.stdout
    (record,) = site.read(site.config.topics.feedback)
    assert record.value is not None
    found = read_feedback(record.value)
    assert faults(json.loads(record.value), load_schema("feedback.v1")) == []
    assert (found.alert_id, found.label, found.author) == (ALERT, "normal", "op-7")
    assert found.observation_id == OPENED["evidence"]["observation_id"]
    assert record.key == found.source.encode()
    headers = dict(record.headers)
    assert headers["ce_type"] == b"multimodal.feedback.v1"
    assert headers["ce_source"] == record.key
    assert headers["ce_id"] == found.message_id.encode()


@pytest.mark.kafka
def test_an_alert_that_nobody_knows_is_told_and_nothing_is_sent(site: Site) -> None:
    before = len(site.read(site.config.topics.feedback))
    done = said(site, "0" * 32, "--verdict", "anomaly")
    assert isinstance(done.exception, OperatorError)
    assert "unknown or too old" in str(done.exception)
    assert len(site.read(site.config.topics.feedback)) == before


@pytest.mark.kafka
def test_a_source_can_be_learned_anew_without_an_alert(site: Site) -> None:
    source = "/cameras/moved"
    done = CliRunner().invoke(app, ["learn-anew", source, "--who", "op-7", *config_of(site)])
    assert done.exit_code == 0, done.output
    found = [one for one in site.read(site.config.topics.feedback) if one.key == source.encode()]
    (said_so,) = [read_feedback(one.value or b"") for one in found]
    assert (said_so.label, said_so.alert_id, said_so.author) == ("learn_anew", None, "op-7")
    assert faults(said_so.document(), load_schema("feedback.v1")) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("gate", "--verdict", "normal"), "is no alert id"),
        ((ALERT, "--verdict", "normal", "--who", "x" * 129), "--who must have from 1 to 128"),
        ((ALERT, "--verdict", "normal", "--comment", ""), "--comment must have from 1 to 2000"),
    ],
)
def test_wrong_use_is_told_before_anything_is_read(
    arguments: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    done = CliRunner().invoke(app, ["feedback", *arguments])
    assert isinstance(done.exception, OperatorError)
    assert told in str(done.exception)


def test_the_same_words_at_the_same_time_are_the_same_message() -> None:
    one = Feedback("/a", "normal", 5, alert_id=ALERT)
    assert one.message_id == Feedback("/a", "normal", 5, alert_id=ALERT).message_id
    assert one.message_id != Feedback("/a", "unsure", 5, alert_id=ALERT).message_id
