"""What a record carries that is put back, whatever it carried before."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.events import Record
from worker.core.messages import capped_value, dead_letter_headers, late_headers
from worker.core.messages.redrive import (
    ATTEMPT,
    OF,
    RedriveOf,
    attempts_of,
    last_header,
    redrive_headers,
)
from worker.errors import Reason

KINDS: tuple[RedriveOf, ...] = get_args(RedriveOf)
Headers = tuple[tuple[str, bytes | None], ...]

names = st.sampled_from(["ce_id", "ce_time", "content-type", "mmworker", "x-mmworker.error.a"])
headers = st.lists(
    st.tuples(names | st.text(max_size=8), st.none() | st.binary(max_size=8)), max_size=8
).map(tuple)
reasons = st.sampled_from(list(Reason))


def a_record(original: Headers) -> Record:
    return Record("frames", 3, 4831, 0, b"/cameras/a", b"media", original)


def refused(original: Headers, reason: Reason = Reason.TIME_AHEAD) -> Headers:
    """Return the headers of the dead letter of a record whose value was too large to keep, too."""
    added = dead_letter_headers(a_record(original), "envelope", reason, "no luck", "w")
    return added + capped_value(b"123456", 5)[1]


@given(headers, reasons)
def test_a_dead_letter_gets_its_original_headers_back_and_a_first_attempt(
    original: Headers, reason: Reason
) -> None:
    restored = redrive_headers(refused(original, reason), "dead-letter")
    assert restored == (*original, (ATTEMPT, b"1"), (OF, b"dead-letter"))


@given(headers, st.integers(0, 2**62))
def test_a_late_event_gets_its_original_headers_back_and_a_first_attempt(
    original: Headers, watermark: int
) -> None:
    restored = redrive_headers(late_headers(a_record(original), watermark % 10**15), "late")
    assert restored == (*original, (ATTEMPT, b"1"), (OF, b"late"))


@given(headers, st.lists(st.sampled_from(KINDS), min_size=1, max_size=5))
def test_each_return_raises_the_attempt_by_one_and_leaves_nothing_else_behind(
    original: Headers, ways: list[RedriveOf]
) -> None:
    carried = original
    for number, of in enumerate(ways, 1):
        set_aside = refused(carried) if of == "dead-letter" else late_headers(a_record(carried), 0)
        assert attempts_of(set_aside) == number - 1
        carried = redrive_headers(set_aside, of)
        assert attempts_of(carried) == number
        assert carried == (*original, (ATTEMPT, str(number).encode()), (OF, of.encode()))


@pytest.mark.parametrize(
    "value", [None, b"", b"-1", b"two", b"1.5", b" 1", "٣".encode(), b"\xff", b"9" * 5000]
)
def test_an_attempt_that_is_no_small_decimal_number_counts_as_none(value: bytes | None) -> None:
    assert attempts_of(((ATTEMPT, value),)) == 0
    assert dict(redrive_headers(((ATTEMPT, value),), "late"))[ATTEMPT] == b"1"


def test_of_repeated_headers_the_last_one_holds() -> None:
    assert attempts_of(((ATTEMPT, b"1"), (ATTEMPT, b"2"))) == 2
    assert last_header((("a", b"1"), ("a", None)), "a") is None
    assert last_header((), "a") is None
