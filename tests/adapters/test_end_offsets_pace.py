"""How often the ends of partitions are asked for."""

from __future__ import annotations

from worker.adapters.kafka.end_offsets import Pace


def asked(pace: Pace, start: float, length: float, step: float = 0.2) -> int:
    """Return how often it is asked in `length` seconds by who polls every `step` seconds."""
    count, now = 0, start
    while now < start + length:
        if pace.is_due(now):
            pace.ask(now, now)
            count += 1
        now += step
    return count


def test_ends_are_asked_for_with_each_idle_poll_while_records_come_and_seldom_after_a_quiet() -> (
    None
):
    pace = Pace(0.0)
    assert asked(pace, 0.0, 10.0) >= 49
    assert asked(pace, 40.0, 10.0) <= 11
    pace.hear(50.0)
    assert asked(pace, 50.0, 10.0) >= 49


def test_polls_in_quick_succession_share_an_answer() -> None:
    assert asked(Pace(0.0), 0.0, 1.0, step=0.005) <= 21


def test_an_old_answer_does_not_say_what_is_fully_read() -> None:
    pace = Pace(0.0)
    assert not pace.is_fresh(0.0)
    pace.ask(100.0, 100.0)
    assert pace.is_fresh(100.04)
    assert not pace.is_fresh(100.2)
    assert not pace.is_due(100.2)


def test_an_answer_that_was_long_on_its_way_is_old_when_it_comes() -> None:
    pace = Pace(0.0)
    pace.ask(100.0, 100.4)
    assert not pace.is_fresh(100.41)
    assert not pace.is_due(100.41)  # a slow broker is not asked with each poll


def test_after_news_of_the_assignment_it_is_asked_at_once() -> None:
    pace = Pace(0.0)
    pace.ask(100.0, 100.0)
    pace.expire()
    assert pace.is_due(100.01)
    assert not pace.is_fresh(100.01)
