"""Which partitions a member may go on with after rebalances."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.coordinator.assignors.range import RangePartitionAssignor

from worker.adapters.kafka.membership import Membership, check_alike, kept
from worker.adapters.memory_groups import range_assignment
from worker.core.ports import TopicPartition
from worker.errors import OperatorError


def owned(generation: int, *partitions: int, member: str = "me") -> Membership:
    return Membership(
        frozenset(TopicPartition("frames", each) for each in partitions), generation, member
    )


def numbers(partitions: frozenset[TopicPartition]) -> set[int]:
    return {each.partition for each in partitions}


def test_a_partition_in_the_next_generation_too_is_kept() -> None:
    assert numbers(kept(owned(4, 0, 1), [owned(5, 1, 2)])) == {1}


def test_a_partition_that_left_and_came_back_is_not_kept() -> None:
    assert numbers(kept(owned(4, 0, 1), [owned(5, 1), owned(6, 0, 1)])) == {1}


def test_nothing_is_kept_over_a_generation_that_was_missed() -> None:
    assert kept(owned(4, 0), [owned(6, 0)]) == frozenset()


def test_nothing_is_kept_by_a_new_member_id() -> None:
    assert kept(owned(4, 0), [owned(5, 0, member="new me")]) == frozenset()


def test_nothing_is_kept_over_an_eviction() -> None:
    assert kept(owned(4, 0), [Membership(), owned(5, 0)]) == frozenset()


def test_without_a_rebalance_everything_is_kept() -> None:
    assert numbers(kept(owned(4, 0, 1), [])) == {0, 1}


def test_there_is_no_ownership_without_a_generation() -> None:
    assert Membership().ownership("a") is None


class _Cluster:
    def __init__(self, topics: dict[str, int]) -> None:
        self._topics = topics

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(self._topics[topic]))


class _Member:
    def __init__(self, member_id: str, topics: list[str]) -> None:
        self.member_id = member_id
        self.group_instance_id = None
        self.metadata = self
        self.topics = topics


@given(
    st.dictionaries(st.sampled_from("abc"), st.integers(1, 9), min_size=1),
    st.sets(st.integers(0, 9), min_size=1),
)
def test_the_log_in_memory_assigns_as_the_client_does(
    topics: dict[str, int], members: set[int]
) -> None:
    names = [f"member-{number}" for number in members]
    ours = range_assignment({name: list(topics) for name in names}, topics)
    theirs = RangePartitionAssignor.assign(
        _Cluster(topics), [_Member(name, list(topics)) for name in names]
    )
    for name in names:
        assigned = {
            TopicPartition(topic, partition)
            for topic, partitions in theirs[name].assigned_partitions
            for partition in partitions
        }
        assert ours[name] == assigned


@pytest.mark.parametrize(
    ("members", "own"),
    [([], ""), ([], "one"), ([None, None], ""), (["one", "two"], "one"), (["two"], "one")],
)
def test_a_group_of_one_kind_may_be_joined(members: list[str | None], own: str) -> None:
    check_alike("group", members, own)


@pytest.mark.parametrize(
    ("members", "own", "told"),
    [
        (["two"], "", "with kafka.group_instance_id and this worker has none"),
        ([None], "one", "without kafka.group_instance_id and this worker has one"),
        (["two", None], "one", "without kafka.group_instance_id and this worker has one"),
    ],
)
def test_a_group_of_the_other_kind_is_not_joined(
    members: list[str | None], own: str, told: str
) -> None:
    with pytest.raises(OperatorError, match=told):
        check_alike("group", members, own)
