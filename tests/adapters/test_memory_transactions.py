"""Transactions and evictions of the log in memory."""

from __future__ import annotations

import threading

import pytest

from worker.adapters.memory_log import MemoryLog, Transaction
from worker.adapters.memory_ports import MemoryInputLog, MemoryOutbox, MemorySink
from worker.core.ports import Committed, CommitUnit, LogError, Output, TopicPartition

FRAMES = TopicPartition("frames", 0)


def log(clock: list[int] | None = None) -> MemoryLog:
    times = iter(clock or [])
    return MemoryLog({"frames": 1, "results": 1}, lambda: next(times, 9))


def values(made: MemoryLog, topic: str) -> list[bytes | None]:
    return [each.value for each in made.read_all(topic)]


def output(value: bytes, topic: str = "frames") -> Output:
    return Output(topic, b"camera", value)


def test_readers_do_not_pass_the_first_record_of_an_open_transaction() -> None:
    made = log()
    made.append(output(b"before"))
    transaction = Transaction(made)
    transaction.append(output(b"pending"))
    made.append(output(b"behind"))
    member = MemoryInputLog(made, "group", ["frames"])
    polled = member.poll(0)
    assert [each.value for each in polled.records[FRAMES]] == [b"before"]
    assert FRAMES in polled.caught_up
    transaction.abort()
    assert [each.value for each in member.poll(0).records[FRAMES]] == [b"behind"]


def test_records_of_a_transaction_appear_at_its_commit_together_with_its_offsets() -> None:
    made = log()
    member = MemoryInputLog(made, "group", ["frames"])
    ownership = member.poll(0).ownership
    assert ownership is not None
    transaction = Transaction(made)
    transaction.append(output(b"a", "results"))
    assert values(made, "results") == []
    transaction.commit("group", {FRAMES: Committed(3)}, ownership)
    assert values(made, "results") == [b"a"]
    assert made.group("group").offsets == {FRAMES: Committed(3)}
    with pytest.raises(LogError):
        transaction.commit("group", {FRAMES: Committed(4)}, ownership)


def test_an_append_time_never_goes_back_even_if_the_clock_does() -> None:
    made = log([5, 3, 7])
    for _ in range(3):
        made.append(output(b"x"))
    assert [each.timestamp for each in made.read_all("frames")] == [5, 5, 7]


def test_an_evicted_member_sees_its_partitions_leave_before_they_come_back() -> None:
    made = log()
    made.append(output(b"x"))
    member = MemoryInputLog(made, "group", ["frames"])
    first = member.poll(0)
    made.evict("group", member.member)
    assert member.poll(0).assignment == frozenset()
    again = member.poll(0)
    assert again.ownership != first.ownership
    assert [each.value for each in again.records[FRAMES]] == [b"x"]
    assert first.ownership is not None
    with pytest.raises(LogError):
        MemoryOutbox(made, "group").submit(
            CommitUnit((), {FRAMES: Committed(1)}), first.ownership
        ).result()


def test_members_of_the_old_generation_may_commit_until_all_have_taken_part() -> None:
    made = log()
    member = MemoryInputLog(made, "group", ["frames"])
    ownership = member.poll(0).ownership
    assert ownership is not None
    second = MemoryInputLog(made, "group", ["frames"])
    second.poll(0)
    outbox = MemoryOutbox(made, "group")
    outbox.submit(CommitUnit((), {FRAMES: Committed(0)}), ownership).result()
    member.poll(0)
    with pytest.raises(LogError):
        outbox.submit(CommitUnit((), {FRAMES: Committed(0)}), ownership).result()


def test_a_waiting_poll_returns_when_another_thread_appends() -> None:
    made = log()
    member = MemoryInputLog(made, "group", ["frames"], wait=True)
    member.poll(0)
    writer = threading.Timer(0.05, MemorySink(made).append, (output(b"x"),))
    writer.start()
    assert [each.value for each in member.poll(10).records[FRAMES]] == [b"x"]
    writer.join()
