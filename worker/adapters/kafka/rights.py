"""The rights that a worker needs on a cluster with an authorizer: these, and no others.

An operation that Kafka derives from another one (Read and Write bring Describe) is not listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from worker.adapters.kafka.admin import TopicInfo
from worker.adapters.kafka.fencing import transactional_prefix
from worker.config import KafkaSettings, TopicSettings

Operation = Literal["Read", "Write", "DescribeConfigs"]


@dataclass(frozen=True, slots=True)
class Right:
    """Operations on one resource; `prefixed`: on all whose name begins with `name`."""

    resource: Literal["topic", "group", "transactional id"]
    name: str
    operations: tuple[Operation, ...]
    reason: str
    prefixed: bool = False


def worker_rights(topics: TopicSettings, group: str) -> list[Right]:
    """Return what the user of `mmworker run` has to be allowed."""
    return [
        *_topic_rights(topics),
        Right("group", group, ("Read",), "membership, committed offsets"),
        Right(
            "transactional id",
            transactional_prefix(group),
            ("Write",),
            "commits; an id of its own for each start behind this prefix",
            prefixed=True,
        ),
    ]


def lacking(topics: TopicSettings, found: Mapping[str, TopicInfo]) -> Iterator[str]:
    """Yield a sentence for each topic on which brokers would refuse the worker something.

    Nothing is yielded of topics that do not exist, and of brokers that do not tell.
    """
    for right in _topic_rights(topics):
        allowed = found[right.name].operations if right.name in found else frozenset()
        refused = [each for each in right.operations if allowed and each not in allowed]
        if refused:
            yield (
                f"this user may not {' and '.join(refused)} on topic {right.name}"
                f" ({right.reason}): grant it"
            )


def rights_table() -> str:
    """Return the table of the rights for the default names."""
    rows = [
        f"| {each.resource} | `{each.name}`{' (prefix)' if each.prefixed else ''} |"
        f" {', '.join(each.operations)} | {each.reason} |"
        for each in worker_rights(TopicSettings(), KafkaSettings().group_id)
    ]
    return "\n".join(["| resource | name | operations | for |", "|---|---|---|---|", *rows]) + "\n"


def _topic_rights(topics: TopicSettings) -> Iterator[Right]:
    for name, reason in (
        (topics.frames, "events to judge"),
        (topics.captions, "events to judge"),
        (topics.audio, "events to judge"),
        (topics.feedback, "what people say, where the topic is there"),
    ):
        yield Right("topic", name, ("Read", "DescribeConfigs"), reason)
    for name, reason in (
        (topics.observations, "results, and what a successor learns from"),
        (topics.snapshots, "states, and what a successor begins with"),
    ):
        yield Right("topic", name, ("Read", "Write", "DescribeConfigs"), reason)
    for name, reason in (
        (topics.alerts, "alerts"),
        (topics.dead_letters, "records that cannot be accepted"),
        (topics.late_events, "records after their time"),
    ):
        yield Right("topic", name, ("Write", "DescribeConfigs"), reason)
