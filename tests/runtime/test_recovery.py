"""A successor goes on exactly where the last commit ended: same Moments, scores and alerts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.runtime.builders import (
    World,
    config,
    endings_of,
    event,
    footage,
    in_time_order,
    picture,
)
from worker.core.rfc3339 import seconds
from worker.feed.events import FeedEvent
from worker.scoring import scorer as scorer_module

MakeWorld = Callable[..., World]
QUICK = {"scoring__calibration_moments": 20, "scoring__false_alarms_per_day": 8640}


@pytest.fixture
def world() -> Iterator[MakeWorld]:
    made: list[World] = []

    def make(partitions: int = 1, **changes: object) -> World:
        made.append(World(config(**{**QUICK, **changes}), partitions))
        return made[-1]

    yield make
    for each in made:
        each.close()


def stream() -> list[FeedEvent]:
    """Two sources with captions, one that pauses, one with a correlated event, one odd picture."""
    odd = event("frame", 70.4, "/cameras/a", name="odd", payload=picture(77))
    paired = [
        event(kind, 33.2, "/cameras/b", name=f"c-{kind}", correlation="c")
        for kind in ("frame", "audio")
    ]
    late = event("frame", 20.1, "/cameras/b", name="late")
    pausing = [one for one in footage(90, "/cameras/c") if not 40e6 < one.time % 10**9 < 58e6]
    ordered = in_time_order(footage(90), footage(90, "/cameras/b"), pausing, [odd], paired)
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


def rest(here: World) -> None:
    member = here.members[-1]
    member.run()
    here.fall_silent()
    member.run()
    here.clock.now += seconds(1)
    member.run()
    member.leave()


def interrupted(here: World, events: list[FeedEvent], crashes: set[int]) -> dict[str, list[bytes]]:
    member = here.join()
    for place, one in enumerate(events):
        here.append([one])
        if place % 5 == 0:
            member.worker.step()
        if place in crashes:
            member.crash()
            member = here.join()
    rest(here)
    return results(here)


@settings(max_examples=6, deadline=None)
@example(set(range(30, 500, 23)), 1)
@given(st.sets(st.integers(0, 500), max_size=8), st.sampled_from([1, 20, 4000]))
def test_a_crash_changes_nothing_that_is_written(crashes: set[int], replay: int) -> None:
    events = stream()
    plain, faulty = World(config(**QUICK)), World(config(**QUICK))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scorer_module, "REPLAY_MOMENTS", replay)
        try:
            expected = uninterrupted(plain, events)
            found = interrupted(faulty, events, crashes)
        finally:
            plain.close()
            faulty.close()
    assert expected["alerts"]
    assert expected["late-events"]
    assert found == expected
    assert endings_of(faulty) == endings_of(plain)
