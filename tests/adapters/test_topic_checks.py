"""The rules about topics, without a broker."""

from __future__ import annotations

from dataclasses import replace

import pytest

from worker.adapters.kafka.admin import TopicInfo
from worker.adapters.kafka.topic_checks import Finding, findings, inputs, read_topics, specs, unlike
from worker.config import TopicSettings

TOPICS = TopicSettings()
LIMIT = 1_000_000


def cluster(**changes: TopicInfo | None) -> dict[str, TopicInfo]:
    """The topics as created, some of them changed; None removes one."""
    broker_defaults = {"message.timestamp.type": "CreateTime", "cleanup.policy": "delete"}
    found: dict[str, TopicInfo | None] = {
        spec.name: TopicInfo(
            spec.partitions, {"max.message.bytes": "1048588"} | broker_defaults | dict(spec.config)
        )
        for spec in specs(TOPICS, 4, LIMIT)
    }
    found |= {name.replace("_", "-"): info for name, info in changes.items()}
    return {name: info for name, info in found.items() if info is not None}


def the_only(found: dict[str, TopicInfo]) -> Finding:
    (finding,) = findings(TOPICS, found, LIMIT)
    return finding


def with_config(name: str, **config: str) -> TopicInfo:
    info = cluster()[name]
    changes = {key.replace("_", "."): value for key, value in config.items()}
    return TopicInfo(info.partitions, {**info.config, **changes})


def test_topics_as_created_are_without_a_finding() -> None:
    assert findings(TOPICS, cluster(), LIMIT) == []


def test_a_missing_topic_is_an_error_that_names_it() -> None:
    finding = the_only(cluster(late_events=None))
    assert finding.severity == "error"
    assert "late-events" in finding.sentence


def test_unequal_partition_counts_of_the_inputs_are_an_error() -> None:
    finding = the_only(cluster(audio=TopicInfo(3, cluster()["audio"].config)))
    assert finding.severity == "error"
    assert "frames 4, captions 4, audio 3" in finding.sentence


def test_observations_with_another_count_than_the_inputs_are_an_error() -> None:
    finding = the_only(cluster(observations=TopicInfo(2, cluster()["observations"].config)))
    assert finding.severity == "error"


def test_without_feedback_the_worker_goes_on_and_says_so() -> None:
    finding = the_only(cluster(feedback=None))
    assert finding.severity == "warning"
    assert "is not heard" in finding.sentence
    assert read_topics(TOPICS, cluster(feedback=None)) == inputs(TOPICS)
    assert read_topics(TOPICS, cluster()) == (*inputs(TOPICS), "feedback")


def test_feedback_with_another_count_than_the_inputs_is_an_error() -> None:
    finding = the_only(cluster(feedback=TopicInfo(2, cluster()["feedback"].config)))
    assert finding.severity == "error"


def test_with_three_replicas_two_have_a_record_before_it_counts() -> None:
    for factor, wanted in ((-1, None), (1, None), (2, None), (3, "2")):
        for spec in specs(TOPICS, 4, LIMIT, factor):
            assert spec.config.get("min.insync.replicas") == wanted


def test_three_replicas_of_which_one_is_enough_are_a_warning() -> None:
    weak = replace(with_config("alerts", min_insync_replicas="1"), replicas=3)
    finding = the_only(cluster(alerts=weak))
    assert finding.severity == "warning"
    assert "topics alerts take a record for written with one replica" in finding.sentence
    assert findings(TOPICS, cluster(alerts=replace(weak, replicas=2)), LIMIT) == []


def test_observations_that_are_kept_for_less_than_a_day_are_a_warning() -> None:
    kept = with_config("observations", retention_ms="3600000")
    finding = the_only(cluster(observations=kept))
    assert finding.severity == "warning"
    assert "keeps its records for 3600000 ms only" in finding.sentence
    for enough in ("86400000", "-1"):
        kept = with_config("observations", retention_ms=enough)
        assert findings(TOPICS, cluster(observations=kept), LIMIT) == []


def test_inputs_with_another_number_of_partitions_than_planned_are_told() -> None:
    assert unlike(TOPICS, cluster(), 4) == []
    assert unlike(TOPICS, {}, 6) == []
    assert [each.severity for each in unlike(TOPICS, cluster(alerts=None), 6)] == ["error"] * 3


def test_producers_times_on_an_input_are_a_warning() -> None:
    changed = with_config("captions", message_timestamp_type="CreateTime")
    finding = the_only(cluster(captions=changed))
    assert finding.severity == "warning"
    assert "LogAppendTime" in finding.sentence


def test_an_input_that_takes_less_than_the_limit_is_a_warning() -> None:
    changed = with_config("frames", max_message_bytes="500000")
    assert the_only(cluster(frames=changed)).severity == "warning"


def test_dead_letters_that_cannot_take_a_whole_input_are_an_error() -> None:
    changed = with_config("dead-letters", max_message_bytes="500000")
    finding = the_only(cluster(dead_letters=changed))
    assert finding.severity == "error"
    assert "max.message.bytes to 1065536" in finding.sentence


@pytest.mark.parametrize("name", ["alerts", "observations", "snapshots"])
def test_a_topic_that_cannot_take_what_a_worker_writes_is_an_error(name: str) -> None:
    finding = the_only(cluster(**{name: with_config(name, max_message_bytes="1048588")}))
    assert finding.severity == "error"
    assert "max.message.bytes to 8454144" in finding.sentence


def test_snapshots_that_are_not_compacted_are_a_warning() -> None:
    changed = with_config("snapshots", cleanup_policy="delete")
    assert the_only(cluster(snapshots=changed)).severity == "warning"


def test_snapshots_are_created_so_that_little_of_what_was_replaced_stays() -> None:
    (created,) = [spec.config for spec in specs(TOPICS, 4, LIMIT) if spec.name == TOPICS.snapshots]
    assert created["cleanup.policy"] == "compact"
    assert float(created["min.cleanable.dirty.ratio"]) < 0.5
    assert int(created["segment.bytes"]) < 100_000_000
    assert int(created["max.message.bytes"]) > LIMIT


def test_errors_come_before_warnings() -> None:
    changed = with_config("snapshots", cleanup_policy="delete")
    found = findings(TOPICS, cluster(snapshots=changed, alerts=None), LIMIT)
    assert [each.severity for each in found] == ["error", "warning"]
