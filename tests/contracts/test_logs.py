"""What every log must do, in memory or real."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.contracts.logs import KafkaWorld, MemoryWorld, Reader, World, joined, wait_for, write
from worker.core.partitioner import partition_for
from worker.core.ports import Committed, CommitUnit, LogError, Output, TopicPartition

PARTITIONS = 4


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "memory":
        made: World = MemoryWorld(PARTITIONS)
    else:
        made = KafkaWorld(request.getfixturevalue("kafka_server").bootstrap, PARTITIONS)
    try:
        yield made
    finally:
        made.close()


def record(topic: str, number: int, partition: int | None = 0) -> Output:
    return Output(topic, f"camera-{number}".encode(), f"value-{number}".encode(), (), partition)


def fill(world: World, count: int, partition: int = 0) -> TopicPartition:
    frames = world.inputs[0]
    write(world, [record(frames, number, partition) for number in range(count)])
    return TopicPartition(frames, partition)


def unit(world: World, reader: Reader, *values: str) -> CommitUnit:
    outputs = tuple(
        Output(world.results, value.encode(), value.encode(), (), number % PARTITIONS)
        for number, value in enumerate(values)
    )
    return CommitUnit(outputs, reader.next_offsets)


def values(world: World) -> set[bytes | None]:
    return {each.value for each in world.read_all(world.results)}


def test_offsets_of_a_partition_begin_at_zero_and_have_no_gaps(world: World) -> None:
    partition = fill(world, 20)
    (reader,) = joined(world.member())
    wait_for(lambda: reader.count == 20, reader)
    assert [each.offset for each in reader.records[partition]] == list(range(20))
    assert [each.value for each in reader.records[partition]] == [
        f"value-{number}".encode() for number in range(20)
    ]


def test_append_times_of_a_partition_never_go_back(world: World) -> None:
    frames = world.inputs[0]
    sink = world.sink()
    for number in range(10):
        sink.append(record(frames, number))
        sink.flush()
    times = [each.timestamp for each in world.read_all(frames)]
    assert times == sorted(times)
    assert times[0] > 1_600_000_000_000_000  # microseconds


def test_without_a_partition_the_key_decides_by_murmur2(world: World) -> None:
    frames = world.inputs[0]
    write(world, [record(frames, number, None) for number in range(20)])
    for each in world.read_all(frames):
        assert each.key is not None
        assert each.partition == partition_for(each.key, PARTITIONS, "murmur2")


def test_each_partition_index_of_the_three_topics_belongs_to_one_member(world: World) -> None:
    first, second = joined(world.member(), world.member())
    owners: dict[int, set[int]] = {}
    for number, reader in enumerate((first, second)):
        for partition in reader.assignment:
            owners.setdefault(partition.partition, set()).add(number)
    assert all(len(each) == 1 for each in owners.values())
    assert first.assignment | second.assignment == {
        TopicPartition(topic, index) for topic in world.inputs for index in range(PARTITIONS)
    }


@pytest.mark.parametrize("patience", [0.001, 0])
def test_members_that_poll_seldom_and_briefly_come_to_rest_and_read(
    world: World, patience: float
) -> None:
    readers = [Reader(world.member()), Reader(world.member())]

    def poll() -> list[int]:
        for reader in readers:
            reader.poll(patience)
            time.sleep(0.03)
        return [len(reader.assignment) for reader in readers]

    deadline = time.monotonic() + 30
    while poll() != [6, 6]:
        assert time.monotonic() < deadline, "the group does not come to rest"
    generation = readers[0].ownership.generation
    for _ in range(15):
        assert poll() == [6, 6]
    assert {reader.ownership.generation for reader in readers} == {generation}
    assert generation <= 3
    for index in range(PARTITIONS):
        fill(world, 5, index)
    while sum(reader.count for reader in readers) < 20:
        assert time.monotonic() < deadline, "records are not read"
        poll()
    readers[1].log.close()
    while len(readers[0].assignment) < 12:
        assert time.monotonic() < deadline, "the partitions do not come to the other member"
        readers[0].poll(patience)
        time.sleep(0.03)


def test_two_members_share_and_one_takes_over_when_the_other_leaves(world: World) -> None:
    first, second = joined(world.member(), world.member())
    wait_for(lambda: len(first.assignment) == len(second.assignment) == 6, first, second)
    for index in range(PARTITIONS):
        fill(world, 5, index)
    wait_for(lambda: first.count + second.count == 20, first, second)
    assert {each.topic for each in first.records} == {world.inputs[0]}
    second.log.close()
    wait_for(lambda: len(first.assignment) == 12, first)


def test_a_member_that_takes_over_continues_where_the_last_commit_ended(world: World) -> None:
    partition = fill(world, 6)
    (first,) = joined(world.member())
    wait_for(lambda: first.count == 6, first)
    world.outbox().submit(CommitUnit((), {partition: Committed(4)}), first.ownership).result(20)
    first.log.close()
    (second,) = joined(world.member())
    wait_for(lambda: second.count == 2, second)
    assert [each.offset for each in second.records[partition]] == [4, 5]


def test_a_retained_partition_goes_on_without_repeating(world: World) -> None:
    for index in range(PARTITIONS):
        fill(world, 5, index)
    (first,) = joined(world.member())
    wait_for(lambda: first.count == 20, first)
    second = Reader(world.member())
    wait_for(lambda: len(first.assignment) == len(second.assignment) == 6, first, second)
    kept = {each.partition for each in first.assignment}
    for index in range(PARTITIONS):
        fill(world, 1, index)
    wait_for(lambda: first.count == 20 + len(kept), first, second)
    for index in kept:
        offsets = [each.offset for each in first.records[TopicPartition(world.inputs[0], index)]]
        assert offsets == list(range(6))


def test_a_committed_unit_is_visible_with_all_of_its_records(world: World) -> None:
    fill(world, 3)
    (reader,) = joined(world.member())
    wait_for(lambda: reader.count == 3, reader)
    outbox = world.outbox()
    outbox.submit(unit(world, reader, "a", "b", "c"), reader.ownership).result(20)
    outbox.submit(unit(world, reader, "d"), reader.ownership).result(20)
    assert values(world) == {b"a", b"b", b"c", b"d"}


def test_the_unit_of_a_stale_generation_is_refused_as_a_whole(world: World) -> None:
    partition = fill(world, 3)
    (first,) = joined(world.member())
    wait_for(lambda: first.count == 3, first)
    stale = first.ownership
    outdated = unit(world, first, "zombie-a", "zombie-b")
    second = Reader(world.member())
    wait_for(lambda: bool(second.assignment) and first.ownership != stale, first, second)
    outbox = world.outbox()
    with pytest.raises(LogError):
        outbox.submit(outdated, stale).result(20)
    assert values(world) == set()
    first.log.close()
    second.log.close()
    (third,) = joined(world.member())
    wait_for(lambda: third.count == 3, third)
    assert third.records[partition][0].offset == 0


def test_an_outbox_refuses_everything_after_a_failure(world: World) -> None:
    fill(world, 1)
    (reader,) = joined(world.member())
    wait_for(lambda: reader.count == 1, reader)
    outbox = world.outbox()
    stale = replace(reader.ownership, generation=reader.ownership.generation + 7)
    if isinstance(world, KafkaWorld):
        stale = replace(stale, token=stale.token._replace(generation_id=stale.generation))  # type: ignore[attr-defined]  # the client's tuple
    with pytest.raises(LogError):
        outbox.submit(unit(world, reader, "stale"), stale).result(20)
    with pytest.raises(LogError, match="refused"):
        outbox.submit(unit(world, reader, "later"), reader.ownership).result(20)
    assert values(world) == set()


def test_the_processes_of_the_group_are_known_while_one_of_their_sessions_is_in_it(
    world: World,
) -> None:
    state = world.state()
    (first,) = joined(world.member("a"))
    assert first.ownership.process == "a"
    assert state.processes() == {"a"}
    second = Reader(world.member("b"))
    wait_for(lambda: bool(second.assignment), first, second)
    assert state.processes() == {"a", "b"}
    first.log.close()
    wait_for(lambda: state.processes() == {"b"}, second)
    again = Reader(world.member("a"))
    wait_for(lambda: bool(again.assignment), second, again)
    assert state.processes() == {"a", "b"}


def test_a_unit_without_offsets_is_not_accepted(world: World) -> None:
    (reader,) = joined(world.member())
    with pytest.raises(ValueError, match="fenced"):
        world.outbox().submit(CommitUnit((), {}), reader.ownership)


def test_pause_stops_exactly_the_named_partitions(world: World) -> None:
    (reader,) = joined(world.member())
    frames = world.inputs[0]
    still, moving = TopicPartition(frames, 0), TopicPartition(frames, 1)
    reader.log.pause(frozenset({still}))
    fill(world, 3, 0)
    fill(world, 3, 1)
    wait_for(lambda: len(reader.records.get(moving, [])) == 3, reader)
    for _ in range(5):
        reader.poll()
    assert still not in reader.records
    reader.log.pause(frozenset({moving}))
    fill(world, 3, 1)
    wait_for(lambda: len(reader.records.get(still, [])) == 3, reader)
    for _ in range(5):
        reader.poll()
    assert len(reader.records[moving]) == 3


def test_a_partition_that_was_paused_half_read_goes_on_though_the_other_is_at_its_end(
    world: World,
) -> None:
    partitions = {fill(world, 800, 0), fill(world, 800, 1)}  # more than one poll returns
    reader = Reader(world.member())
    wait_for(lambda: bool(reader.records), reader)
    (half,) = reader.records
    (other,) = partitions - {half}
    reader.log.pause(frozenset({half}))
    wait_for(lambda: len(reader.records.get(other, [])) == 800, reader)
    reader.log.pause(frozenset())
    wait_for(lambda: len(reader.records[half]) == 800, reader)


def test_a_partition_is_caught_up_only_once_all_of_it_has_been_returned(world: World) -> None:
    partition = fill(world, 700)  # more than one poll returns
    reader = Reader(world.member())
    wait_for(lambda: reader.last is not None and partition in reader.last.caught_up, reader)
    assert len(reader.records[partition]) == 700
    reader.log.pause(frozenset({partition}))
    fill(world, 1)
    wait_for(lambda: reader.last is not None and partition not in reader.last.caught_up, reader)
    reader.log.pause(frozenset())
    wait_for(lambda: len(reader.records[partition]) == 701, reader)


def test_empty_partitions_are_caught_up(world: World) -> None:
    (reader,) = joined(world.member())
    wait_for(lambda: reader.last is not None and reader.last.caught_up == reader.assignment, reader)


def test_lag_counts_the_records_that_are_not_returned_yet(world: World) -> None:
    (reader,) = joined(world.member())
    partition = TopicPartition(world.inputs[0], 0)
    reader.log.pause(frozenset({partition}))
    fill(world, 7)
    wait_for(lambda: reader.last is not None and reader.last.lag.get(partition) == 7, reader)
    assert reader.last is not None
    assert reader.last.positions[partition] == 0
    reader.log.pause(frozenset())
    wait_for(lambda: reader.last is not None and reader.last.lag.get(partition) == 0, reader)
    assert reader.last.positions[partition] == 7
    reader.log.seek({partition: 3})
    first = reader.log.poll(0)
    assert first.positions.get(partition, 3) + first.lag.get(partition, 4) == 7


@pytest.mark.parametrize(
    ("key", "value"),
    [(None, None), (b"", b""), (b"key", None), (None, b"\x00\xff"), (bytes(range(256)), b"x" * 9)],
)
def test_keys_values_and_headers_come_back_byte_for_byte(
    world: World, key: bytes | None, value: bytes | None
) -> None:
    headers = (("h", b"\x00\xff"), ("h", b"twice"), ("ünïcode", b""), ("null", None), ("", b"n"))
    for topic in (world.inputs[0], world.results):
        output = Output(topic, key, value, headers, 1)
        if topic == world.results:
            fill(world, 1, 2)
            (reader,) = joined(world.member())
            wait_for(lambda: bool(reader.records), reader)  # noqa: B023 - used within the loop
            unit = CommitUnit((output,), reader.next_offsets)
            world.outbox().submit(unit, reader.ownership).result(20)
        else:
            write(world, [output])
        (read,) = [each for each in world.read_all(topic) if each.partition == 1]
        assert (read.key, read.value, read.headers) == (key, value, headers)


def test_a_record_for_a_topic_that_is_not_there_is_an_error(world: World) -> None:
    sink = world.sink()
    with pytest.raises(LogError):
        sink.append(record(f"nowhere-{uuid.uuid4().hex}", 0))
        sink.flush()


def test_a_group_that_has_committed_nothing_has_no_offsets(world: World) -> None:
    partition = TopicPartition(world.inputs[0], 0)
    assert world.state().committed([partition]) == {}


def test_committed_offsets_come_with_what_was_said_beside_them(world: World) -> None:
    partition = fill(world, 6)
    (reader,) = joined(world.member())
    wait_for(lambda: reader.count == 6, reader)
    said = {partition: Committed(4, '{"version":1}')}
    world.outbox().submit(CommitUnit((), said), reader.ownership).result(20)
    state = world.state()
    assert state.committed([partition, TopicPartition(world.inputs[1], 0)]) == said


def test_a_partition_is_read_from_any_offset_to_its_end_and_again(world: World) -> None:
    partition = fill(world, 6)
    state = world.state()
    assert state.bounds(partition) == (0, 6)
    assert [each.offset for each in state.read(partition, 2)] == [2, 3, 4, 5]
    assert next(state.read(partition, 0)).offset == 0  # an unfinished reading disturbs nothing
    assert [each.offset for each in state.read(partition, 5)] == [5]
    assert list(state.read(partition, 6)) == []


def test_a_member_reads_on_where_it_is_told_to(world: World) -> None:
    partition = fill(world, 6)
    (reader,) = joined(world.member())
    wait_for(lambda: reader.count == 6, reader)
    elsewhere = TopicPartition(world.inputs[0], PARTITIONS + 7)
    reader.log.seek({partition: 3, elsewhere: 1})
    wait_for(lambda: reader.count == 9, reader)
    assert [each.offset for each in reader.records[partition]][6:] == [3, 4, 5]
