"""The worker over the in-memory log: every event ends in one place, whatever happens meanwhile."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.runtime.builders import (
    GROUP,
    PATIENCE,
    START,
    GatedEncoder,
    HashEncoder,
    Member,
    World,
    config,
    encoders,
    endings_of,
    event,
    footage,
    in_time_order,
    picture,
)
from worker.adapters import memory_ports
from worker.core import waiting
from worker.core.events import Modality
from worker.core.merge import Merger
from worker.core.partitioner import partition_for
from worker.core.ports import LogError, Output, Ownership, Polled, TopicPartition
from worker.core.rfc3339 import seconds
from worker.errors import FailedRunError
from worker.feed.events import FeedEvent
from worker.runtime import commits as commits_module
from worker.runtime import intake, lineup
from worker.runtime import worker as worker_module
from worker.runtime.assemble import build_pipeline, worker_rules

MakeWorld = Callable[..., World]


def through(world: World, member: Member) -> None:
    """Let the member decide everything that is in the log."""
    member.run()
    world.fall_silent()
    member.run()
    member.worker.finish(30)


def test_footage_becomes_one_observation_per_window_with_what_belongs_to_it(
    world: MakeWorld,
) -> None:
    here = world()
    here.append(footage(20))
    member = here.join()
    through(here, member)
    seen = here.observations()
    assert [one.window_start for one in seen] == [START + seconds(t) for t in range(20)]
    assert endings_of(here) == Counter(observed=45)
    assert seen[1].modalities.carried == (Modality.CAPTION,)
    offsets = here.log.group(GROUP).offsets
    assert {each: committed.offset for each, committed in offsets.items()} == {
        TopicPartition("frames", 0): 20,
        TopicPartition("captions", 0): 5,
        TopicPartition("audio", 0): 20,
    }


def test_what_cannot_be_accepted_or_comes_late_is_kept_elsewhere_and_stops_nothing(
    world: MakeWorld,
) -> None:
    here = world()
    again = event("frame", 6.2, name="twice")
    late = event("frame", 0.1)
    here.append([*footage(6), again, again, event("frame", 6.4, payload=b"not a picture")])
    here.append_output(Output("frames", None, None))
    here.append([*[event("frame", t) for t in (8, 9)], late, *footage(3, "/cameras/b")])
    member = here.join()
    through(here, member)
    assert endings_of(here) == Counter(observed=24, late=1, error=2, duplicate=1)
    tally = member.tally()
    assert tally.reconciles
    assert tally.outcomes == {
        "paired": 24,
        "late": 1,
        "dead_letter": 2,
        "duplicate": 1,
        "returned": 0,
        "known": 0,
    }


def test_an_observation_and_its_alert_are_in_one_unit_with_the_offsets(world: MakeWorld) -> None:
    here = world(scoring__calibration_moments=20, scoring__false_alarms_per_day=21_000)
    here.append(footage(90, captions=False))
    member = here.join()
    through(here, member)
    topics = here.settings.topics
    alerts = [json.loads(value) for value in here.values(topics.alerts)]
    assert alerts
    for unit in member.outbox.units:
        assert unit.offsets
        ids = {
            json.loads(output.value or b"")["observation_id"]
            for output in unit.outputs
            if output.topic == topics.observations
        }
        for output in unit.outputs:
            if output.topic == topics.alerts:
                assert json.loads(output.value or b"")["evidence"]["observation_id"] in ids


SOURCES = ("/cameras/a", "/cameras/b", "/cameras/c")
stream = st.lists(
    st.tuples(
        st.sampled_from(["frame", "audio", "caption", "poison", "mute", "again"]),
        st.sampled_from(SOURCES),
        st.integers(0, 4),  # tenths of a second since the one before
        st.sampled_from([0.0, 0.0, 0.0, -1.5, -9.0]),  # how far its own time lags
        st.sampled_from([None, None, None, "c1", "c2"]),
    ),
    max_size=50,
)
Stream = list[tuple[str, str, int, float, str | None]]


def events_of(items: Stream) -> list[tuple[float, FeedEvent]]:
    """Return the events with the times at which they are appended; every one has its own id."""
    now, found = 10.0, list[tuple[float, FeedEvent]]()
    for place, (kind, source, tenths, lag, correlation) in enumerate(items):
        now += tenths / 10
        name = f"{place}"
        match kind:
            case "poison":
                one = event("frame", now + lag, source, name=name, payload=b"\x89PNG no picture")
            case "mute":
                one = event("audio", now + lag, source, name=name, payload=b"\x00")
            case "again" if found:
                one = replace(found[-1][1], correlation_id=None)
            case "again":
                one = event("frame", now + lag, source, name=name)
            case _:
                one = event(kind, now + lag, source, name=name, correlation=correlation)
        found.append((now, one))
    return found


def write(world: World, items: list[tuple[float, FeedEvent]]) -> None:
    for at, one in items:
        world.clock.now = max(world.clock.now, START + seconds(at))
        world.append([one])


@settings(max_examples=60, deadline=None)
@given(stream, st.integers(1, 3), st.data())
def test_every_event_ends_in_exactly_one_place_however_steps_and_appends_interleave(
    items: Stream, partitions: int, data: st.DataObject
) -> None:
    here = World(config(), partitions)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lineup, "READY_MOMENTS", data.draw(st.integers(1, 4)))
        patch.setattr(lineup, "BATCH_MOMENTS", data.draw(st.integers(1, 3)))
        patch.setattr(lineup, "BACKLOG_BATCH_MOMENTS", data.draw(st.integers(1, 3)))
        patch.setattr(memory_ports, "_MAX_POLL_RECORDS", data.draw(st.integers(1, 7)))
        member = here.join()
        try:
            left = events_of(items)
            while left:
                count = data.draw(st.integers(1, 8))
                write(here, left[:count])
                left = left[count:]
                for _ in range(data.draw(st.integers(0, 3))):
                    member.worker.step()
                    assert member.tally().reconciles
            through(here, member)
            assert member.tally().reconciles
            assert member.tally().buffered == 0
            counted = endings_of(here)
            assert counted.total() == len(items)
        finally:
            here.close()


@settings(max_examples=25, deadline=None)
@given(stream, st.data())
def test_results_do_not_depend_on_fetches_batches_or_speed(
    items: Stream, data: st.DataObject
) -> None:
    def play(ready: int, batch: int, fetch: int, chunk: int) -> list[bytes]:
        here = World(config(), 2)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lineup, "READY_MOMENTS", ready)
            patch.setattr(lineup, "BATCH_MOMENTS", batch)
            patch.setattr(lineup, "BACKLOG_BATCH_MOMENTS", batch + 1)
            patch.setattr(memory_ports, "_MAX_POLL_RECORDS", fetch)
            member = here.join()
            try:
                events = events_of(items)
                for start in range(0, len(events), chunk):
                    write(here, events[start : start + chunk])
                    for _ in range(chunk % 3):
                        member.worker.step()
                through(here, member)
                topics = here.settings.topics
                return [
                    record.key + b" " + (record.value or b"") + repr(record.headers).encode()
                    for topic in (topics.observations, topics.alerts, topics.late_events)
                    for record in here.log.read_all(topic)
                    if record.key is not None
                ]
            finally:
                here.close()

    expected = play(32, 16, 500, 1000)
    found = play(
        data.draw(st.integers(1, 5)),
        data.draw(st.integers(1, 4)),
        data.draw(st.integers(1, 9)),
        data.draw(st.integers(1, 20)),
    )
    assert found == expected


actions = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 6)),
        st.tuples(st.just("step"), st.integers(0, 3)),
        st.tuples(st.sampled_from(["join", "leave", "crash"]), st.integers(0, 3)),
    ),
    max_size=40,
)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), actions)
def test_while_workers_come_go_and_crash_every_event_ends_in_one_place_once(
    partitions: int, schedule: list[tuple[str, int]]
) -> None:
    here = World(config(), partitions)
    try:
        live_through(here, in_time_order(*(footage(8, source) for source in SOURCES)), schedule)
        endings_of(here)
        ids = [one.observation_id for one in here.observations()]
        assert len(ids) == len(set(ids))
    finally:
        here.close()


@settings(max_examples=25, deadline=None)
@given(stream, st.integers(1, 3), actions)
def test_no_event_of_a_disorderly_stream_is_lost_while_workers_come_go_and_crash(
    items: Stream, partitions: int, schedule: list[tuple[str, int]]
) -> None:
    here = World(config(), partitions)
    try:
        live_through(here, [one for _, one in events_of(items)], schedule)
        places, endings = here.places(), here.endings()
        known = {places[place] for place in endings}
        assert not [
            place for place in places if place not in endings and places[place] not in known
        ]
    finally:
        here.close()


def live_through(here: World, left: list[FeedEvent], schedule: list[tuple[str, int]]) -> None:
    """Write events while members join, step, leave and crash as scheduled; decide all of them."""
    members = [here.join()]
    for action, number in schedule:
        if action == "write":
            here.append(left[:number])
            del left[:number]
        elif action == "join" and len(members) < 3:
            members.append(here.join())
        elif action == "step":
            members[number % len(members)].worker.step()
        elif action in ("leave", "crash") and len(members) > 1:
            depart(members.pop(number % len(members)), cleanly=action == "leave")
    here.append(left)
    settle(here, members)


def depart(member: Member, *, cleanly: bool) -> None:
    """Let a member leave; where a rebalance is in its way it goes without, as a process does."""
    if cleanly:
        try:
            member.worker.finish(PATIENCE)
        except LogError as error:
            assert error.retriable and error.reason == "commit_failed"
    member.crash()


def settle(world: World, members: list[Member]) -> None:
    """Step all members in turn until all is decided and committed."""
    idle, deadline = 0, time.monotonic() + PATIENCE
    while idle <= 80:
        assert time.monotonic() < deadline, "they do not come to rest"
        world.clock.now += seconds(0.2)
        busy = [member.worker.step() for member in members]
        idle = 0 if any(busy) else idle + 1
        time.sleep(0)
    for member in members:
        member.worker.finish(30)


def test_a_slow_encoder_makes_partitions_pause_while_polls_go_on_and_memory_stays_bounded(
    world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lineup, "READY_MOMENTS", 4)
    monkeypatch.setattr(lineup, "BATCH_MOMENTS", 2)
    monkeypatch.setattr(lineup, "BACKLOG_BATCH_MOMENTS", 2)
    monkeypatch.setattr(memory_ports, "_MAX_POLL_RECORDS", 10)
    monkeypatch.setattr(intake, "Merger", partial(Merger, max_records=20))
    slow = GatedEncoder(Modality.FRAME)
    here = world()
    here.append(footage(300, captions=False))
    member = here.join(encoders(frame=slow))
    held = []
    for _ in range(80):
        began = time.monotonic()
        member.worker.step()
        assert time.monotonic() - began < 1
        here.clock.now += seconds(0.05)
        held.append(member.tally().buffered)
    assert member.worker.is_full
    assert max(held) < 120  # of 600
    assert held[-1] == held[-30]  # nothing more is read
    slow.gate.set()
    through(here, member)
    assert endings_of(here) == Counter(observed=600)


def test_while_moments_wait_for_the_inference_no_poll_waits_for_records(
    world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lineup, "BATCH_MOMENTS", 2)
    monkeypatch.setattr(lineup, "BACKLOG_BATCH_MOMENTS", 2)
    slow, here = GatedEncoder(Modality.FRAME), world()
    here.append(footage(60, captions=False))
    member = here.join(encoders(frame=slow))
    patience: list[float] = []
    poll = member.log.poll

    def watched(timeout: float) -> Polled:
        patience.append(timeout)
        return poll(timeout)

    monkeypatch.setattr(member.log, "poll", watched)
    while not member.worker.is_full:
        member.worker.step()
        here.clock.now += seconds(0.05)
    patience.clear()
    member.worker.step()
    assert patience == [0]
    slow.gate.set()
    through(here, member)
    assert patience[-1] > 0  # with nothing to do the next record may take its time


def test_a_partition_with_a_backlog_does_not_starve_the_others(
    world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lineup, "READY_MOMENTS", 2)
    monkeypatch.setattr(lineup, "BATCH_MOMENTS", 1)
    monkeypatch.setattr(lineup, "BACKLOG_BATCH_MOMENTS", 1)
    here = world(partitions=2)
    busy, calm = sorted(("/cameras/0", "/cameras/1"), key=partial(here_partition, here))
    assert (here_partition(here, busy), here_partition(here, calm)) == (0, 1)
    here.append(footage(400, busy, captions=False))
    here.append([replace(one, time=one.time + seconds(400)) for one in footage(6, calm)])
    member = here.join()
    while len({one.source for one in here.observations()}) < 2:
        assert len(here.observations()) < 100, "one partition had to wait for all of another"
        member.worker.step()
        here.clock.now += seconds(0.6)
        time.sleep(0.001)


def here_partition(world: World, source: str) -> int:
    return partition_for(source.encode(), world.partitions, "murmur2")


def test_a_failed_commit_reaches_the_caller_and_a_new_worker_starts_at_the_committed_offsets(
    world: MakeWorld,
) -> None:
    here = world()
    here.append(footage(12))
    first = here.join()
    first.run()
    here.append([replace(one, time=one.time + seconds(12)) for one in footage(12)])
    here.clock.now += seconds(1)
    first.outbox.fail_next = True
    with pytest.raises(LogError):
        through(here, first)
    first.crash()
    second = here.join()
    through(here, second)
    endings_of(here)
    assert len(here.observations()) == 24


def test_results_in_flight_of_a_lost_partition_are_not_committed_by_its_old_owner(
    world: MakeWorld,
) -> None:
    here = world(partitions=2)
    here.append(in_time_order(footage(8, "/cameras/0"), footage(8, "/cameras/1")))
    slow = GatedEncoder(Modality.FRAME)
    first = here.join(encoders(frame=slow))
    while not first.inference.in_flight:
        first.worker.step()
    second = here.join()
    for _ in range(3):
        first.worker.step()
        second.worker.step()
    kept = here.log.group(GROUP).assignment(first.log.member)
    assert {p.partition for p in kept} == {0}
    slow.gate.set()
    first.run()
    first.worker.finish(30)
    for unit in first.outbox.units:
        assert not [p for p, at in unit.offsets.items() if p.partition == 1 and at.offset]
    judged = first.metric("event_delay_seconds_count", stage="scored")
    assert judged == len(here.observations())  # the results were thrown away, and not judged
    settle(here, [first, second])
    assert endings_of(here).total() == len(here.places())


def test_a_retained_partition_keeps_its_open_windows_over_a_rebalance(world: MakeWorld) -> None:
    here = world(partitions=2)
    here.append(in_time_order(footage(4, "/cameras/0"), footage(4, "/cameras/1")))
    first = here.join()
    first.run()
    for _ in range(2):  # it says that work begins; it commits, and reports
        here.clock.now += seconds(1)
        first.run()
    read = first.tally().consumed
    second = here.join()
    settle(here, [first, second])
    assert read == 18
    assert first.tally().consumed == 18  # nothing was read again by the one that stayed
    assert second.tally().consumed == 7  # the others had been committed
    assert endings_of(here) == Counter(observed=18)


def test_the_counts_reconcile_over_a_rebalance(world: MakeWorld) -> None:
    here = world(partitions=2)
    here.append(in_time_order(footage(4, "/cameras/0"), footage(4, "/cameras/1")))
    first = here.join()
    first.run()
    second = here.join()
    settle(here, [first, second])
    assert first.tally().reconciles
    assert second.tally().reconciles
    assert first.metric("rebalances_total", event="revoked") == 1


def test_an_evicted_member_forgets_what_it_held_and_starts_anew(world: MakeWorld) -> None:
    here = world()
    here.append(footage(4))
    member = here.join()
    member.run()
    here.log.evict(GROUP, member.log.member)
    member.worker.step()
    assert not member.worker.is_member
    through(here, member)
    assert endings_of(here) == Counter(observed=9)
    assert member.metric("rebalances_total", event="lost") == 1
    assert member.tally().reconciles


def test_an_exception_in_a_stage_reaches_the_caller_of_step(world: MakeWorld) -> None:
    class Broken(HashEncoder):
        def encode(self, batch: Any) -> NDArray[np.float16]:
            raise RuntimeError("out of memory")

    here = world()
    here.append(footage(8))
    member = here.join(encoders(audio=Broken(Modality.AUDIO)))
    with pytest.raises(RuntimeError, match="out of memory"):
        through(here, member)


def test_a_clock_that_goes_back_stops_neither_commits_nor_reports(world: MakeWorld) -> None:
    here = world()
    times = iter([START + seconds(t) for t in (50, 50, 51, 51, 52, 52)])
    member = here.join(now=lambda: next(times, START + seconds(20)))
    here.append(footage(15))
    for _ in range(200):
        member.worker.step()
        time.sleep(0.001)
    assert here.observations()
    assert member.tally().consumed == len(here.places())


def test_a_worker_whose_clock_is_behind_the_brokers_keeps_up_with_the_stream(
    world: MakeWorld,
) -> None:
    here = world()
    member = here.join(now=lambda: here.clock.now - seconds(3600))
    here.append(footage(15, captions=False))  # nothing ever comes on the captions topic
    for _ in range(200):
        member.worker.step()
        here.clock.now += seconds(0.01)
        time.sleep(0.001)
    assert member.tally().outcomes["paired"] > 10


def test_finish_commits_what_is_in_flight(world: MakeWorld) -> None:
    here = world()
    here.append(footage(10))
    member = here.join()
    while not member.inference.in_flight:
        member.worker.step()
    member.worker.finish(30)
    assert len(here.observations()) >= 5


def test_finish_gives_up_in_time_where_an_encoder_hangs(world: MakeWorld) -> None:
    here = world()
    here.append(footage(10))
    slow = GatedEncoder(Modality.FRAME)
    member = here.join(encoders(frame=slow))
    while not member.inference.in_flight:
        member.worker.step()
    with pytest.raises(FailedRunError, match="read again"):
        member.worker.finish(0.3)  # though the worker's clock stands still
    slow.gate.set()


def test_events_that_no_message_could_list_are_dead_letters_and_their_moment_is_judged(
    world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, names = world(), [f"{number:032}" for number in range(8)]
    monkeypatch.setattr(waiting, "MAX_LISTED_BYTES", 3 * (160 + len("frames") + 2 * 34))
    here.append(event("frame", t / 100, name=name) for t, name in enumerate(names))
    member = here.join()
    through(here, member)
    assert endings_of(here) == Counter(observed=3, error=5)
    assert member.tally().reconciles


def test_windows_that_hold_too_much_end_the_run_with_advice(world: MakeWorld) -> None:
    here = world(pairing__max_buffered_bytes=1024 * 1024, limits__max_record_bytes=1024 * 1024)
    here.append([event("frame", t / 10, payload=picture(1) + bytes(200_000)) for t in range(8)])
    member = here.join()
    with pytest.raises(FailedRunError, match="max_buffered_bytes"):
        for _ in range(20):
            here.clock.now += seconds(0.2)
            member.worker.step()


def test_delays_and_stage_times_are_reported(world: MakeWorld) -> None:
    here = world()
    here.append(footage(20))
    member = here.join()
    through(here, member)
    for stage in ("ingest", "scored", "published"):
        assert member.metric("event_delay_seconds_count", stage=stage) > 0, stage
    for stage in ("decode", "encode", "fuse", "score", "commit"):
        assert member.metric("stage_duration_seconds_count", stage=stage) > 0, stage
    assert member.metric("batch_size_count", modality="frame") > 0
    assert member.metric("event_delay_seconds_count", stage="ingest") == 45
    assert member.metric("event_delay_seconds_count", stage="published") == 20
    assert member.metric("last_commit_timestamp_seconds") > 0


def test_the_queues_in_front_of_the_stages_are_reported(world: MakeWorld) -> None:
    here = world()
    here.append(footage(300, captions=False))
    slow = GatedEncoder(Modality.FRAME)
    member = here.join(encoders(frame=slow))
    while member.inference.waiting != {"decode": 2, "encode": 2}:
        member.worker.step()
        time.sleep(0.001)
    here.clock.now += seconds(1)
    member.worker.step()
    assert member.metric("queue_depth", stage="decode") == 2
    assert member.metric("queue_depth", stage="encode") == 2
    slow.gate.set()


def test_outputs_that_cannot_be_committed_yet_are_bounded(
    world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits_module, "MAX_WAITING_OUTPUTS", 20)
    monkeypatch.setattr(memory_ports, "_MAX_POLL_RECORDS", 10)
    monkeypatch.setattr(intake, "Merger", partial(Merger, max_records=20))
    here = world()
    here.append(footage(300, captions=False))
    member = here.join()
    while not here.observations():  # it has said that work begins
        member.worker.step()
        here.clock.now += seconds(0.1)
    pending: Future[None] = Future()
    commit = member.outbox.submit
    monkeypatch.setattr(member.outbox, "submit", lambda unit, ownership: pending)
    for _ in range(300):
        member.worker.step()
        here.clock.now += seconds(0.1)
        time.sleep(0.001)
    assert member.worker.is_full
    assert member.tally().consumed < 500
    monkeypatch.setattr(member.outbox, "submit", commit)
    with pytest.raises(LogError):
        pending.set_exception(LogError("commit_timeout", "too slow", retriable=True))
        member.run()


def test_inference_threads_end_with_the_member(world: MakeWorld) -> None:
    before = set(threading.enumerate())
    here = world()
    here.append(footage(8))
    member = here.join()
    member.run()
    started = set(threading.enumerate()) - before
    kinds = {thread.name.partition("-")[0] for thread in started}
    assert kinds == {"decode", "encode", "encoder"}
    member.crash()
    for thread in started:
        thread.join(5)
        assert not thread.is_alive()


class PartingLog:
    """An InputLog whose group takes one topic's partition away and leaves the others."""

    def __init__(self, partitions: frozenset[TopicPartition]) -> None:
        self._left = [partitions, frozenset(p for p in partitions if p.topic == "frames")]

    def poll(self, timeout: float) -> Polled:
        owned = self._left.pop(0)
        return Polled({}, owned, Ownership(1, "member", "member"), caught_up=owned)

    def pause(self, partitions: frozenset[TopicPartition]) -> None:
        pass

    def seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        pass

    def close(self) -> None:
        pass


def test_partitions_of_one_index_that_part_company_end_the_session(world: MakeWorld) -> None:
    here = world()
    member = here.join()
    partitions = frozenset(TopicPartition(topic, 0) for topic in here.inputs.values())
    ports = replace(here.ports(), log=PartingLog(partitions))
    pipeline = build_pipeline(here.settings, encoders())
    parting = worker_module.Worker(
        ports, member.inference, worker_rules(here.settings, pipeline, 1, {})
    )
    parting.step()
    with pytest.raises(LogError) as caught:
        parting.step()
    assert (caught.value.reason, caught.value.retriable) == ("split_assignment", True)
