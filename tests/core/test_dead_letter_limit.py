"""When dead letters stop a worker, and that one broken camera never does so by the ratio."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from worker.core.dead_letter_limit import (
    WINDOW,
    DeadLetter,
    DeadLetterLimit,
    DeadLetterRules,
    Ending,
)


def dead(source: str = "a", reason: str = "malformed_time", topic: str = "frames") -> DeadLetter:
    return DeadLetter(source.encode(), topic, reason)


def judged(endings: list[Ending], in_a_row: int = 0, ratio: float = 0.0) -> str | None:
    limit = DeadLetterLimit(DeadLetterRules(in_a_row, ratio))
    limit.add(endings)
    return limit.exceeded


def test_without_limits_any_number_of_dead_letters_is_fine() -> None:
    assert judged([dead(str(n % 7)) for n in range(3 * WINDOW)]) is None


def test_a_row_that_reaches_the_limit_is_told_with_its_commonest_reason() -> None:
    row: list[Ending] = [dead(), dead(reason="null_key", topic="audio"), dead()]
    assert judged(row[:2], in_a_row=3) is None
    assert judged(row, in_a_row=3) == (
        "3 records in a row became dead letters, 2 of them from topic frames with reason"
        " malformed_time: look at `mmworker dead-letters list --reason malformed_time` and mend the"
        " cause, or change limits.max_dead_letters_in_a_row (3)"
    )


def test_one_accepted_record_ends_a_row() -> None:
    assert judged([dead(), dead(), None, dead(), dead()], in_a_row=3) is None


def test_a_ratio_is_judged_over_a_full_window_only() -> None:
    endings: list[Ending] = [dead(str(n % 9)) for n in range(WINDOW)]
    assert judged(endings[:-1], ratio=0.5) is None
    assert "1000 of the last 1000 records" in str(judged(endings, ratio=0.5))


def test_the_ratio_forgets_what_left_the_window() -> None:
    before: list[Ending] = [dead(str(n % 9)) for n in range(WINDOW // 2)]
    good: list[Ending] = [None] * (WINDOW // 2)
    assert judged([*before, *good, *before, *good], ratio=0.6) is None
    assert judged([*before, *good, *before, *before], ratio=0.6) is not None


def test_the_sentence_stays_that_of_the_first_limit_reached() -> None:
    limit = DeadLetterLimit(DeadLetterRules(in_a_row=2))
    limit.add([dead(), dead()])
    first = limit.exceeded
    limit.add([None, dead(reason="null_key"), dead(reason="null_key")])
    assert limit.exceeded == first


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=40), st.floats(0.01, 1))
def test_one_broken_source_never_reaches_the_ratio_however_much_it_sends(
    pattern: list[bool], ratio: float
) -> None:
    endings: list[Ending] = [dead() if bad else None for bad in pattern]
    assert judged(endings * (2 * WINDOW // len(pattern) + 1), ratio=ratio) is None


@settings(max_examples=40, deadline=None)
@given(st.integers(0, WINDOW), st.integers(2, 50), st.floats(0.05, 1))
def test_equally_broken_sources_reach_it_where_the_others_than_one_have_such_a_share(
    broken: int, sources: int, ratio: float
) -> None:
    endings: list[Ending] = [dead(str(n % sources)) for n in range(broken)]
    worst = -(-broken // sources)
    is_reached = broken - worst >= ratio * (WINDOW - worst)
    found = judged([*[None] * (WINDOW - broken), *endings], ratio=ratio)
    assert (found is not None) == is_reached
