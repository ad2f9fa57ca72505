"""Draining: what was in the log at the start is judged, open windows close, nothing is held."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import pytest

from tests.runtime.builders import (
    GROUP,
    PATIENCE,
    START,
    Member,
    World,
    config,
    endings_of,
    event,
    footage,
    in_time_order,
    picture,
)
from worker.adapters import memory_ports
from worker.adapters.memory_log import Transaction
from worker.core.messages import read_alert
from worker.core.partitioner import partition_for
from worker.core.ports import LogError, Output, TopicPartition
from worker.core.rfc3339 import seconds
from worker.core.source_state import SourceState
from worker.runtime.drain import Drained
from worker.runtime.state_records import Stored, read_stored

MakeWorld = Callable[..., World]
TOPICS = ("frames", "captions", "audio")


def stored(here: World) -> Stored:
    snapshots = here.log.read_all("snapshots")
    return read_stored((record.key or b"", record.value) for record in snapshots)


def states(here: World) -> dict[str, SourceState]:
    return {each.state.source: each.state for each in stored(here).sources}


def assert_nothing_is_held(here: World) -> None:
    offsets = here.log.group(GROUP).offsets
    for partition in (TopicPartition(t, index) for t in TOPICS for index in range(here.partitions)):
        assert offsets[partition].offset == here.log.end(partition)
    for state in states(here).values():
        assert not state.held
        assert state.pairing is None or state.pairing.carried is None


def test_open_windows_close_as_by_silence_and_the_offsets_stand_at_the_end(
    world: MakeWorld,
) -> None:
    here = world(2)
    here.append(footage(10))
    drained = here.join(drains=True).drain()
    assert drained == Drained((0, 1), 3)
    assert [one.closed_by for one in here.observations()] == ["watermark"] * 7 + ["silence"] * 3
    assert endings_of(here) == Counter(observed=23)
    assert_nothing_is_held(here)


def test_a_drain_writes_what_silence_would_have_written(world: MakeWorld) -> None:
    events = in_time_order(
        footage(9),
        footage(12, "/cameras/b"),
        [event("frame", 8.6, correlation="c"), event("caption", 11.9, "/cameras/c")],
    )
    waited, hurried = world(), world()
    for here in (waited, hurried):
        here.append(events[:20])
        first = here.join()
        first.run()
        first.crash()
        here.append(events[20:])
    member = waited.join()
    member.run()
    waited.fall_silent()
    member.run()
    member.leave()
    hurried.join(drains=True).drain()
    for topic in ("observations", "late-events", "alerts"):
        assert hurried.values(topic) == waited.values(topic)
    assert_nothing_is_held(hurried)


def test_an_alert_that_is_open_closes_as_by_silence(world: MakeWorld) -> None:
    here = world(scoring__calibration_moments=20, scoring__false_alarms_per_day=860)
    for second in range(60):
        shown = picture(190 if second >= 54 else 10 + 10 * (second % 2))
        here.append([event("frame", second, payload=shown), event("audio", second)])
    member = here.join()
    member.run()
    alerts = [read_alert(value) for value in here.values("alerts")]
    assert alerts[-1].type != "close"
    member.leave()
    here.join(drains=True).drain()
    last = read_alert(here.values("alerts")[-1])
    assert (last.alert_id, last.type) == (alerts[-1].alert_id, "close")
    assert last.closed_for == "silence"


def test_without_a_single_record_every_partition_is_drained_at_once(world: MakeWorld) -> None:
    here = world(3)
    assert here.join(drains=True).drain() == Drained((0, 1, 2), 0)
    assert_nothing_is_held(here)


def test_a_second_drain_finds_nothing_to_do_and_one_after_a_silence_drops_the_caption(
    world: MakeWorld,
) -> None:
    here = world()
    here.append(footage(6))
    member = here.join()
    member.run()
    here.fall_silent()
    member.run()
    member.leave()
    pairing = states(here)["/cameras/a"].pairing
    assert pairing is not None
    assert pairing.carried is not None
    before = len(here.observations())
    for _ in range(2):
        assert here.join(drains=True).drain() == Drained((0,), 0)
        assert_nothing_is_held(here)
    assert len(here.observations()) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"pairing__window_seconds": 2},
        {"pairing__grace_seconds": 1},
        {"pairing__await": ["frame"]},
        {"pairing__carry_caption_seconds": 9},
    ],
)
def test_after_a_drain_other_settings_are_taken_up_and_nothing_is_lost_or_twice(
    world: MakeWorld, changes: dict[str, object]
) -> None:
    here = world()
    here.append(footage(10))
    member = here.join()
    member.run()
    member.leave()
    here.join(drains=True).drain()
    here.settings = config(**changes)
    here.append([event(kind, t) for t in range(20, 30) for kind in ("frame", "audio")])
    here.join(drains=True).drain()
    assert endings_of(here) == Counter(observed=43)
    assert_nothing_is_held(here)


def test_what_producers_send_meanwhile_is_left_to_the_next_start(
    world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_ports, "_MAX_POLL_RECORDS", 4)
    here = world()
    here.append(footage(20, captions=False))
    member = here.join(drains=True)
    second, deadline = 20, time.monotonic() + PATIENCE
    while member.worker.drained is None:
        member.worker.step()
        here.append([event(kind, second) for kind in ("frame", "audio")])
        second += 1
        assert time.monotonic() < deadline, "it goes on for ever"
        time.sleep(0.002)  # let the stages have the processor
    member.leave()
    ends = here.log.group(GROUP).offsets
    assert 20 <= ends[TopicPartition("frames", 0)].offset < second - 1
    here.join(drains=True).drain()
    assert endings_of(here) == Counter(observed=2 * second)
    assert_nothing_is_held(here)


def many_sources(here: World) -> Counter[str]:
    names = [f"/cameras/{number}" for number in range(12)]
    assert {partition_for(name.encode(), 4, "murmur2") for name in names} == {0, 1, 2, 3}
    here.append(in_time_order(*(footage(8, name, captions=False) for name in names)))
    return Counter(observed=12 * 16)


def step_all(here: World, members: list[Member], times: int = 1) -> None:
    for _ in range(times):
        here.clock.now += seconds(0.3)
        for member in members:
            member.worker.step()


def drain_together(here: World, sent: Counter[str]) -> None:
    members = [here.join(drains=True), here.join(drains=True)]
    deadline = time.monotonic() + PATIENCE
    while members:
        step_all(here, members)
        for member in [each for each in members if each.worker.drained]:
            members.remove(member)
            member.leave()
            assert endings_of(here) == sent  # nobody leaves before
        assert time.monotonic() < deadline


def test_members_that_drain_together_end_when_all_of_it_is_drained(world: MakeWorld) -> None:
    here = world(4)
    sent = many_sources(here)
    drain_together(here, sent)
    assert_nothing_is_held(here)


def test_what_an_aborted_transaction_left_at_the_end_is_not_waited_for(world: MakeWorld) -> None:
    here = world(4)
    sent = many_sources(here)
    aborted = Transaction(here.log)
    for index in range(4):
        aborted.append(Output("frames", None, b"nobody sees this", (), index))
    aborted.abort()
    drain_together(here, sent)


def test_one_that_has_drained_waits_for_partitions_of_one_that_is_gone_and_drains_them(
    world: MakeWorld,
) -> None:
    here = world(4)
    sent = many_sources(here)
    gone, other = here.join(), here.join(drains=True)
    step_all(here, [gone, other], 3)
    step_all(here, [other], 30)
    assert other.worker.drained is None
    gone.crash()
    step_all(here, [other], 3)
    assert other.drain().indices == (0, 1, 2, 3)
    assert endings_of(here) == sent
    assert_nothing_is_held(here)


def test_a_commit_that_fails_leaves_the_drain_to_the_next_session(world: MakeWorld) -> None:
    here = world()
    here.append(footage(10))
    member = here.join(drains=True)
    member.outbox.fail_next = True
    with pytest.raises(LogError, match="went away"):
        member.drain()
    member.crash()
    here.join(drains=True).drain()
    assert endings_of(here) == Counter(observed=23)
    assert_nothing_is_held(here)


def test_the_append_clock_of_a_drained_index_is_that_of_its_records(world: MakeWorld) -> None:
    here = world()
    here.append(footage(5))
    here.join(drains=True).drain()
    index = stored(here).index
    assert index is not None
    assert index.clock == START + seconds(4.5)
