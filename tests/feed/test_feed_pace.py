from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.feed.media import SECOND, START, event
from worker.errors import OperatorError
from worker.feed.events import FeedEvent
from worker.feed.pace import paced


@dataclass
class FakeTime:
    """A clock that only sleeping and `spend` move."""

    now: float = 100.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.now += seconds


def events_at(*seconds: float) -> list[FeedEvent]:
    return [event(START + round(second * SECOND)) for second in seconds]


@pytest.mark.parametrize(("speed", "expected"), [(1, [0, 1, 1, 3.5]), (2, [0, 0.5, 0.5, 1.75])])
def test_events_go_out_when_their_time_has_come(speed: float, expected: list[float]) -> None:
    time = FakeTime()
    events = events_at(0, 1, 1, 3.5)
    sent = [(e, time.now - 100) for e in paced(events, speed, time.clock, time.sleep)]
    assert [e for e, _ in sent] == events
    assert [when for _, when in sent] == pytest.approx(expected)


def test_without_a_speed_nothing_waits() -> None:
    time = FakeTime()
    events = events_at(0, 1000)
    assert list(paced(events, None, time.clock, time.sleep)) == events
    assert time.slept == []


def test_a_slow_consumer_does_not_shift_what_comes_later() -> None:
    time = FakeTime()
    sent = []
    for _ in paced(events_at(0, 1, 2, 5), 1, time.clock, time.sleep):
        sent.append(time.now - 100)
        time.now += 1.75
    assert sent == pytest.approx([0, 1.75, 3.5, 5.25])
    assert time.slept == []


def test_a_consumer_that_caught_up_waits_again() -> None:
    time = FakeTime()
    sent = []
    for _ in paced(events_at(0, 1, 10), 1, time.clock, time.sleep):
        sent.append(time.now - 100)
        time.now += 3
    assert sent == pytest.approx([0, 3, 10])


@given(st.lists(st.floats(0, 1e5), min_size=1).map(sorted), st.floats(0.01, 1000))
def test_no_event_is_early_and_none_is_lost(seconds: list[float], speed: float) -> None:
    time = FakeTime(now=0.0)
    events = events_at(*seconds)
    sent = 0
    for e in paced(events, speed, time.clock, time.sleep):
        due = (e.time - events[0].time) / SECOND / speed
        assert time.now >= due - 1e-6
        sent += 1
    assert sent == len(events)


@pytest.mark.parametrize("speed", [0, -1, float("nan")])
def test_an_impossible_speed_is_refused_at_once(speed: float) -> None:
    time = FakeTime()
    with pytest.raises(OperatorError, match="give one above 0"):
        paced([], speed, time.clock, time.sleep)
