from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.adapters.breaker import FAULTS, PAUSE_SECONDS, Breaker


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAULTS):
        breaker.failed(now)
    return breaker


def test_it_opens_after_three_faults_in_a_row_and_says_so_once() -> None:
    breaker = Breaker()
    assert [breaker.failed(0.0) for _ in range(4)] == [False, False, True, False]
    assert not breaker.allows(0.0)


def test_a_success_between_faults_keeps_it_closed() -> None:
    breaker = Breaker()
    for _ in range(10):
        breaker.failed(0.0)
        breaker.failed(0.0)
        assert breaker.succeeded() is False
    assert breaker.allows(0.0)


def test_after_the_pause_it_lets_one_attempt_through_at_a_time() -> None:
    breaker = opened(now=10.0)
    assert not breaker.allows(10.0 + PAUSE_SECONDS - 0.001)
    assert breaker.allows(10.0 + PAUSE_SECONDS)
    assert not breaker.allows(10.0 + PAUSE_SECONDS)
    assert breaker.allows(10.0 + 2 * PAUSE_SECONDS)  # the attempt before never came back


def test_a_failed_attempt_opens_it_for_another_pause() -> None:
    breaker = opened(now=0.0)
    assert breaker.allows(PAUSE_SECONDS)
    assert breaker.failed(PAUSE_SECONDS + 1) is False
    assert not breaker.allows(2 * PAUSE_SECONDS)
    assert breaker.allows(2 * PAUSE_SECONDS + 1)


def test_a_successful_attempt_closes_it_and_all_faults_are_forgotten() -> None:
    breaker = opened(now=0.0)
    assert breaker.allows(PAUSE_SECONDS)
    assert breaker.succeeded() is True
    breaker.failed(PAUSE_SECONDS)
    breaker.failed(PAUSE_SECONDS)
    assert breaker.allows(PAUSE_SECONDS)


@given(st.lists(st.floats(0, 1), max_size=200))
def test_while_everything_fails_attempts_stay_rare(steps: list[float]) -> None:
    breaker, now, attempts = Breaker(), 0.0, 0
    for step in steps:
        now += step
        if breaker.allows(now):
            attempts += 1
            breaker.failed(now)
    assert attempts <= FAULTS + now / PAUSE_SECONDS
