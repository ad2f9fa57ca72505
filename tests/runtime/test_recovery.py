"""A successor goes on exactly where the last commit ended: same Moments, scores and alerts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.runtime.builders import (
    GROUP,
    HashEncoder,
    World,
    config,
    encoders,
    endings_of,
    event,
    footage,
    in_time_order,
    picture,
    shapes,
)
from worker.core.caution import TRIES
from worker.core.events import Modality
from worker.core.false_discoveries import Discoveries
from worker.core.messages import read_alert
from worker.core.ports import Committed, LogError, Output, TopicPartition
from worker.core.rfc3339 import seconds
from worker.errors import StateError
from worker.feed.events import FeedEvent
from worker.runtime.state_records import read_stored
from worker.scoring import sources as sources_module

MakeWorld = Callable[..., World]
QUICK = {
    "scoring__calibration_moments": 20,
    "scoring__cooldown_seconds": 5,
    "scoring__false_alarms_per_day": 8640,
    "scoring__shadow": {"false_alarms_per_day": 10_000, "cooldown_seconds": 0},
    "scoring__neighbours": [["/cameras/*"]],
}
CONTROLLED = {
    "scoring__false_discovery_rate": 0.5,
    "scoring__shadow": {"false_alarms_per_day": 10_000, "false_discovery_rate": 1e-6},
}


@pytest.fixture
def world() -> Iterator[MakeWorld]:
    made: list[World] = []

    def make(partitions: int = 1, **changes: object) -> World:
        made.append(World(config(**{**QUICK, **changes}), partitions))
        return made[-1]

    yield make
    for each in made:
        each.close()


@cache
def stream() -> list[FeedEvent]:
    """Two sources with captions, one that pauses, one with a correlated event, odd pictures."""
    odd = [
        event("frame", at, "/cameras/a", name=f"odd-{at}", payload=shapes())
        for at in (70.4, 88.4, 89.4)  # the last ones alert right before the source's silence
    ]
    paired = [
        event(kind, 33.2, "/cameras/b", name=f"c-{kind}", correlation="c")
        for kind in ("frame", "audio")
    ]
    late = event("frame", 20.1, "/cameras/b", name="late")
    pausing = [one for one in footage(90, "/cameras/c") if not 40e6 < one.time % 10**9 < 58e6]
    ordered = in_time_order(footage(90), footage(90, "/cameras/b"), pausing, odd, paired)
    return [*ordered[:300], late, *ordered[300:]]


def results(here: World) -> dict[str, list[bytes]]:
    """Return all that was written, per topic in order; one source's order is one partition's."""
    topics = here.settings.topics
    return {
        topic: here.values(topic)
        for topic in (topics.observations, topics.alerts, topics.late_events, topics.dead_letters)
    }


def uninterrupted(here: World, events: list[FeedEvent]) -> dict[str, list[bytes]]:
    member = here.join()
    for one in events:
        here.append([one])
    member.run()
    rest(here)
    return results(here)


@cache
def without_crashes(replay: int) -> tuple[dict[str, list[bytes]], Counter[str]]:
    """Return what an uninterrupted worker writes of the stream, and where its events end."""
    plain = World(config(**QUICK))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources_module, "REPLAY_MOMENTS", replay)
        try:
            return uninterrupted(plain, stream()), endings_of(plain)
        finally:
            plain.close()


def rest(here: World) -> None:
    member = here.members[-1]
    member.run()
    here.fall_silent()
    member.run()
    here.clock.now += seconds(1)
    member.run()
    member.leave()


def interrupted(here: World, events: list[FeedEvent], crashes: set[int]) -> dict[str, list[bytes]]:
    member, ends = here.join(), 0
    for place, one in enumerate(events):
        here.append([one])
        if place % 5 == 0:
            member.worker.step()
        if place in crashes:
            member.crash()
            member = here.join()
            ends += 1
            if ends % (TRIES - 1) == 0:  # one more, and an event would be held responsible
                member.run()
    rest(here)
    return results(here)


@settings(max_examples=6, deadline=None)
@example(set(range(30, 500, 23)), 1)
@given(st.sets(st.integers(0, 500), max_size=8), st.sampled_from([1, 20, 4000]))
def test_a_crash_changes_nothing_that_is_written(crashes: set[int], replay: int) -> None:
    expected, endings = without_crashes(replay)
    faulty = World(config(**QUICK))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources_module, "REPLAY_MOMENTS", replay)
        try:
            found = interrupted(faulty, stream(), crashes)
        finally:
            faulty.close()
    assert expected["alerts"]
    assert expected["late-events"]
    assert found == expected
    last = {each.alert_id: each for each in map(read_alert, expected["alerts"])}
    assert {each.type for each in last.values()} == {"close"}  # all sources are silent by now
    assert "silence" in {each.closed_for for each in last.values()}
    assert endings_of(faulty) == endings


def discoveries(crashes: set[int]) -> tuple[Discoveries, Discoveries]:
    """Return what the controls of false discoveries remember at the end, live and in shadow."""
    here = World(config(**{**QUICK, **CONTROLLED}))
    try:
        interrupted(here, stream(), crashes)
        snapshots = here.log.read_all(here.settings.topics.snapshots)
        index = read_stored((one.key or b"", one.value) for one in snapshots).index
        assert index is not None
        return index.discoveries, index.shadow.discoveries
    finally:
        here.close()


def test_a_crash_does_not_change_which_share_of_alerts_may_be_false() -> None:
    live, tried = discoveries(set())
    assert len(live.found) > len(tried.found) > 0
    assert discoveries(set(range(30, 500, 47))) == (live, tried)


def later(events: list[FeedEvent], by: float) -> list[FeedEvent]:
    return [replace(one, time=one.time + seconds(by), id=f"{one.id}-later") for one in events]


def commit(here: World, change: Callable[[str], str]) -> None:
    offsets = here.log.group(GROUP).offsets
    offsets.update({p: Committed(at, change(text)) for p, (at, text) in offsets.items()})


def write(here: World, key: bytes, value: bytes) -> None:
    here.append_output(Output(here.settings.topics.snapshots, key, value, partition=0))


def foreign(here: World) -> None:
    (index,) = [one for one in here.log.read_all("snapshots") if one.key == b"index"]
    assert index.value is not None
    write(here, b"index", index.value.replace(b'"group":"mmworker"', b'"group":"other"'))


def settled(here: World) -> None:
    """Let everything be decided and committed, so that nothing waits."""
    member = here.join()
    member.run()
    rest(here)


def test_other_settings_are_refused_while_events_wait(world: MakeWorld) -> None:
    here = world()
    here.append(footage(10))
    member = here.join()
    member.run()
    member.leave()
    here.settings = config(**QUICK, pairing__window_seconds=2)
    successor = here.join()
    with pytest.raises(StateError, match=r"window_seconds was 1 and is 2.*topics offsets"):
        successor.run()


def test_other_settings_are_taken_up_where_nothing_waits_and_stay(world: MakeWorld) -> None:
    here = world()
    here.append(footage(10))
    settled(here)
    here.settings = config(**QUICK, pairing__window_seconds=2)
    here.append(later(footage(10), 100))
    first = here.join()
    first.run()
    first.crash()
    settled(here)
    lengths = [one.window_end - one.window_start for one in here.observations()]
    assert lengths == [seconds(1)] * 10 + [seconds(2)] * 5
    assert endings_of(here).keys() == {"observed"}


def test_another_model_learns_anew_and_never_takes_up_the_old_numbers(world: MakeWorld) -> None:
    here = world()
    here.append(footage(60))
    settled(here)
    assert not here.observations()[-1].assessment.warming_up
    frames = HashEncoder(Modality.FRAME)
    frames.digest = "another"
    other = encoders(frame=frames)
    here.append(later(footage(8, "/cameras/b"), 100))
    for _ in range(2):
        member = here.join(other)
        member.run()
        member.worker.finish(30)
        member.crash()
    here.append(later(footage(4), 200))
    member = here.join(other)
    member.run()
    here.fall_silent()
    member.run()
    member.leave()
    assert here.observations()[-1].source == "/cameras/a"
    assert here.observations()[-1].assessment.warming_up


@pytest.mark.parametrize("model", ["another", "as before, with a state of nothing"])
def test_records_that_mean_nothing_any_more_are_taken_off_the_topic(
    world: MakeWorld, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources_module, "REPLAY_MOMENTS", 1)
    here, frames = world(), HashEncoder(Modality.FRAME)
    here.append(in_time_order(footage(8), footage(8, "/cameras/gone")))
    settled(here)
    kinds = (b"scorer:", b"reference:")
    known = {kind + name for kind in kinds for name in (b"/cameras/a", b"/cameras/gone")}
    assert known <= here.state_keys()
    if model == "another":
        frames.digest = model
    else:
        commit(here, lambda _: "")
    monkeypatch.setattr(sources_module, "REPLAY_MOMENTS", 4000)
    here.append(later(footage(1), 100))
    member = here.join(encoders(frame=frames))
    member.run()
    here.fall_silent()
    member.run()
    member.leave()
    assert known & here.state_keys() == {b"reference:/cameras/a"}


@pytest.mark.parametrize("leaves", [(), (6, 13, 19)])
def test_a_still_scene_is_encoded_every_ten_seconds_whoever_goes_on(
    world: MakeWorld, leaves: tuple[int, ...]
) -> None:
    here, frames = world(), HashEncoder(Modality.FRAME)
    member = here.join(encoders(frame=frames))
    for second in range(26):
        payload = picture(50) + bytes([second])  # another content, that shows the same
        here.append([event("frame", second, payload=payload), event("audio", second)])
        if second in leaves:
            member.run()
            member.worker.finish(30)
            member.crash()
            member = here.join(encoders(frame=frames))
    rest(here)
    fresh = [place for place, one in enumerate(here.observations()) if not one.reused]
    assert (fresh, frames.encoded) == ([0, 11, 22], 3)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda here: here.log.group(GROUP).offsets.clear(), "offsets are gone.*--to earliest"),
        (lambda here: commit(here, lambda it: it.replace('"version":1', '"version":2')), "newer"),
        (lambda here: commit(here, lambda _: "somebody's"), "another program"),
        (lambda here: write(here, b"index", b"{}"), "cannot be read.*--to committed"),
        (lambda here: write(here, b"source:/cameras/a", b'{"version":9,"state":[]}'), "newer"),
        (lambda here: write(here, b"source:/cameras/a", b'{"version":1,"state":[]}'), "be read"),
        (foreign, "holds the state of group other"),
    ],
)
def test_what_cannot_be_gone_on_with_is_told_in_words(
    world: MakeWorld, spoil: Callable[[World], object], told: str
) -> None:
    here = world()
    here.append(footage(10))
    member = here.join()
    member.run()
    member.leave()
    spoil(here)
    successor = here.join()
    with pytest.raises(StateError, match=told):
        successor.run()


def test_offsets_that_somebody_moved_begin_anew_there(world: MakeWorld) -> None:
    here = world()
    here.append(footage(10))
    settled(here)
    before = len(here.observations())
    offsets = here.log.group(GROUP).offsets
    offsets.update({each: Committed(0, at.metadata) for each, at in offsets.items()})
    settled(here)
    assert len(here.observations()) == 2 * before
    numbers = [one.number for one in here.observations()]
    assert numbers == sorted(set(numbers))  # it goes on counting


def test_each_record_that_a_successor_reads_ends_once_in_its_counts(world: MakeWorld) -> None:
    """Also the carried caption, which its predecessor has counted."""
    here = world()
    here.append(footage(10))
    member = here.join()
    member.run()
    member.leave()
    here.append(later(footage(10), 10))
    successor = here.join()
    successor.run()
    successor.leave()
    tally = successor.tally()
    assert tally.outcomes["known"] > 0
    assert tally.reconciles


def test_records_that_are_needed_and_gone_end_the_session(world: MakeWorld) -> None:
    here = world()
    here.append(footage(10))
    member = here.join()
    member.run()
    member.leave()
    entries = here.log._entries[TopicPartition("frames", 0)]
    held = here.log.group(GROUP).offsets[TopicPartition("frames", 0)].offset
    entries[held] = entries[held].without_content()
    successor = here.join()
    with pytest.raises(LogError, match="gone") as caught:
        successor.run()
    assert not caught.value.retriable
