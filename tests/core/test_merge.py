"""Merging by append time: one order, however the fetches interleave."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.core.events import Record
from worker.core.merge import Merger
from worker.core.ports import TopicPartition

FRAMES, AUDIO = TopicPartition("frames", 0), TopicPartition("audio", 0)
BOTH = frozenset({FRAMES, AUDIO})


def record(partition: TopicPartition, offset: int, timestamp: int) -> Record:
    return Record(partition.topic, partition.partition, offset, timestamp, b"k", b"v")


def drain(merger: Merger, fully_read: frozenset[TopicPartition], until: int) -> list[Record]:
    found = []
    while (one := merger.pop(fully_read, until)) is not None:
        found.append(one)
    return found


def test_an_unread_partition_holds_the_others_back() -> None:
    merger = Merger(BOTH)
    merger.push(FRAMES, [record(FRAMES, 0, 5)])
    assert merger.pop(frozenset({FRAMES}), 100) is None
    merger.push(AUDIO, [record(AUDIO, 0, 3), record(AUDIO, 1, 9)])
    assert [one.timestamp for one in drain(merger, frozenset(), 0)] == [3, 5]


def test_a_fully_read_partition_holds_back_only_for_a_short_wait() -> None:
    merger = Merger(BOTH)
    merger.push(FRAMES, [record(FRAMES, 0, 50)])
    assert merger.pop(BOTH, 49) is None
    assert merger.pop(BOTH, 50) is not None


def test_what_a_partition_has_reached_already_holds_nothing_back() -> None:
    merger = Merger(BOTH)
    merger.push(AUDIO, [record(AUDIO, 0, 7)])
    merger.push(FRAMES, [record(FRAMES, 0, 3), record(FRAMES, 1, 6)])
    assert [one.timestamp for one in drain(merger, frozenset(), 0)] == [3, 6]
    merger.push(FRAMES, [record(FRAMES, 2, 7)])
    assert [one.topic for one in drain(merger, frozenset(), 0)] == ["audio"]  # more of 7 may come


def test_a_time_that_goes_back_counts_as_the_largest_so_far() -> None:
    merger = Merger([FRAMES])
    merger.push(FRAMES, [record(FRAMES, 0, 9), record(FRAMES, 1, 4)])
    assert [one.offset for one in drain(merger, frozenset(), 0)] == [0, 1]
    assert merger.newest(FRAMES) == 9


def test_a_full_queue_names_its_partition() -> None:
    merger = Merger(BOTH, max_records=2)
    merger.push(FRAMES, [record(FRAMES, offset, offset) for offset in range(2)])
    assert merger.ahead == {FRAMES}
    assert merger.sizes() == {FRAMES: (2, 4), AUDIO: (0, 0)}


def test_a_queue_is_full_by_bytes_too_and_room_comes_back() -> None:
    merger = Merger(BOTH, max_bytes=4)
    merger.push(FRAMES, [record(FRAMES, offset, offset) for offset in range(2)])
    assert merger.ahead == {FRAMES}
    drain(merger, BOTH, 10)
    assert not merger.ahead


def test_it_is_as_full_as_its_fullest_queue_by_records_or_by_bytes() -> None:
    merger = Merger(BOTH, max_records=8, max_bytes=8)
    assert merger.fill == 0
    merger.push(AUDIO, [record(AUDIO, 0, 0)])
    merger.push(FRAMES, [record(FRAMES, offset, offset) for offset in range(3)])
    assert merger.fill == 6 / 8  # bytes


logs = st.tuples(
    st.lists(st.integers(0, 20), max_size=12),
    st.lists(st.integers(0, 20), max_size=12),
)


@given(logs, st.lists(st.tuples(st.booleans(), st.integers(1, 4)), max_size=30))
def test_the_order_does_not_depend_on_how_fetches_interleave(
    log: tuple[list[int], list[int]], fetches: list[tuple[bool, int]]
) -> None:
    records = {
        partition: [record(partition, offset, time) for offset, time in enumerate(times)]
        for partition, times in zip((FRAMES, AUDIO), log, strict=True)
    }
    at_once = Merger(BOTH)
    for partition, rows in records.items():
        at_once.push(partition, rows)
    expected = drain(at_once, BOTH, 10**9)

    piecewise = Merger(BOTH)
    left = {partition: list(rows) for partition, rows in records.items()}
    found: list[Record] = []
    for is_frame, count in fetches:
        partition = FRAMES if is_frame else AUDIO
        piecewise.push(partition, left[partition][:count])
        del left[partition][:count]
        found += drain(piecewise, frozenset(), 0)
    for partition, rows in left.items():
        piecewise.push(partition, rows)
    found += drain(piecewise, BOTH, 10**9)
    assert found == expected
    assert len(found) == sum(map(len, log))
