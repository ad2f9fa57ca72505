"""A worker works with exactly the rights that are listed, and says in a sentence what it lacks."""

from __future__ import annotations

import pytest

from tests.services.grants import Grants
from tests.services.guarded_kafka import GuardedKafka
from worker.adapters.kafka.admin import KafkaAdmin
from worker.adapters.kafka.fencing import transactional_prefix
from worker.adapters.kafka.outbox import KafkaOutbox
from worker.adapters.kafka.rights import Operation, Right, worker_rights
from worker.adapters.kafka.topic_checks import check_topics, specs
from worker.config import KafkaSettings, TopicSettings
from worker.errors import OperatorError

pytestmark = pytest.mark.kafka
LARGEST = 1_000_000
TOPICS = TopicSettings()
GROUP = "mmworker"
RIGHTS = worker_rights(TOPICS, GROUP)
ON_TOPICS = [
    (right, operation)
    for right in RIGHTS
    if right.resource == "topic"
    for operation in right.operations
]


def the_right(resource: str) -> Right:
    (right,) = (right for right in RIGHTS if right.resource == resource)
    return right


@pytest.fixture(scope="module")
def topics(guarded: GuardedKafka) -> None:
    with KafkaAdmin(KafkaSettings(bootstrap_servers=guarded.server.bootstrap)) as admin:
        admin.create(specs(TOPICS, 1, LARGEST, replication_factor=1))


@pytest.fixture
def settings(guarded: GuardedKafka, topics: None, grants: Grants) -> KafkaSettings:
    """How a user reaches the broker that has exactly the rights that are listed."""
    grants.give(RIGHTS)
    return guarded.scram()


def test_with_all_of_them_nothing_is_found(settings: KafkaSettings) -> None:
    with KafkaAdmin(settings) as admin:
        assert check_topics(admin, TOPICS, LARGEST) == []
        assert admin.members(GROUP) == []


@pytest.mark.parametrize(
    ("right", "operation"), ON_TOPICS, ids=[f"{each.name} {what}" for each, what in ON_TOPICS]
)
def test_without_one_the_sentence_names_the_topic_and_where_it_is_shown_the_operation(
    settings: KafkaSettings, grants: Grants, right: Right, operation: Operation
) -> None:
    with grants.without(right, operation), KafkaAdmin(settings) as admin:
        if right.operations[0] == operation and len(right.operations) == 2:  # its Describe as well
            with pytest.raises(OperatorError, match=f"not show this user the topics {right.name}:"):
                check_topics(admin, TOPICS, LARGEST)
        else:
            (finding,) = check_topics(admin, TOPICS, LARGEST)
            assert finding.severity == "error"
            assert f"may not {operation} on topic {right.name} (" in finding.sentence


def test_without_the_group_the_sentence_names_it(settings: KafkaSettings, grants: Grants) -> None:
    with (
        grants.without(the_right("group"), "Read"),
        KafkaAdmin(settings) as admin,
        pytest.raises(OperatorError, match=r"group mmworker .* the right to Read the group"),
    ):
        admin.members(GROUP)


def test_without_its_transactional_ids_the_sentence_names_one(
    settings: KafkaSettings, grants: Grants
) -> None:
    with (
        grants.without(the_right("transactional id"), "Write"),
        pytest.raises(OperatorError, match=r"may write with the transactional id mmworker\.1"),
    ):
        KafkaOutbox(settings, f"{transactional_prefix(GROUP)}1")
