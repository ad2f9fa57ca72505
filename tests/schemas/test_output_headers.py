"""The headers of outputs, dead letters and late events."""

from __future__ import annotations

from hashlib import sha256
from typing import Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.schemas.files import faults, load_example, load_schema
from tests.schemas.strategies import ids, names, times, traceparents
from worker.core.events import Record
from worker.core.messages import capped_value, dead_letter_headers, late_headers, output_headers
from worker.core.messages.redrive import RedriveOf, redrive_headers
from worker.errors import Reason

Kind = Literal["alert", "observation"]
KINDS: tuple[Kind, ...] = get_args(Kind)
KINDS_OF_REDRIVE: tuple[RedriveOf, ...] = get_args(RedriveOf)
ODD_HEADERS = (("ce_id", b"1"), ("ce_id", b"2"), ("blob", b"\xff\x00"), ("nothing", None))


def a_record(headers: tuple[tuple[str, bytes | None], ...] = ODD_HEADERS) -> Record:
    return Record("frames", 3, 4831, 0, b"/cameras/a", b"media", headers)


def texts(headers: tuple[tuple[str, bytes | None], ...]) -> dict[str, str]:
    return {name: (value or b"").decode() for name, value in headers}


@given(kind=st.sampled_from(KINDS), ce_id=ids, source=names, time=times)
def test_outputs_have_a_cloudevents_envelope(
    kind: Kind, ce_id: str, source: str, time: int
) -> None:
    headers = output_headers(kind, ce_id, source, time, traceparent=None)
    envelope = texts(headers)
    assert faults(envelope, load_schema("headers.output.v1")) == []
    assert (envelope["ce_id"], envelope["ce_source"]) == (ce_id, source)
    assert envelope["ce_type"] == f"multimodal.{kind}.v1"


@given(traceparents)
def test_an_output_carries_the_trace_context_where_there_is_one(traceparent: str | None) -> None:
    envelope = texts(output_headers("alert", "0" * 32 + "-1", "/a", 0, traceparent))
    assert faults(envelope, load_schema("headers.output.v1")) == []
    assert envelope.get("traceparent") == traceparent


@pytest.mark.parametrize("reason", Reason)
def test_a_dead_letter_says_what_was_wrong_and_where(reason: Reason) -> None:
    headers = dead_letter_headers(a_record(), "envelope", reason, "no such luck", "worker-0")
    assert headers[: len(ODD_HEADERS)] == ODD_HEADERS
    added = texts(headers[len(ODD_HEADERS) :])
    assert faults(added, load_schema("headers.dead-letter.v1")) == []
    assert added == {
        "mmworker.error.stage": "envelope",
        "mmworker.error.reason": reason.value,
        "mmworker.error.message": "no such luck",
        "mmworker.error.topic": "frames",
        "mmworker.error.partition": "3",
        "mmworker.error.offset": "4831",
        "mmworker.error.worker": "worker-0",
    }


@given(st.text(st.characters(), max_size=600) | st.text("\x00\n\ud800", min_size=500))
def test_the_message_of_a_dead_letter_is_one_bounded_printable_line(message: str) -> None:
    headers = dead_letter_headers(a_record(()), "media", Reason.UNDECODABLE_TEXT, message, "w")
    line = texts(headers)["mmworker.error.message"]
    assert len(line) <= 512
    assert line.isprintable()
    assert faults(texts(headers), load_schema("headers.dead-letter.v1")) == []


def test_a_long_message_keeps_its_beginning_and_shows_that_it_was_cut() -> None:
    def line(message: str) -> str:
        headers = dead_letter_headers(a_record(()), "media", Reason.TOO_LARGE, message, "w")
        return texts(headers)["mmworker.error.message"]

    assert line("x" * 512) == "x" * 512
    assert line("x" * 513) == "x" * 511 + "…"
    assert line("a\tb\x1b[31m") == r"a\tb\x1b[31m"


def test_a_second_failure_comes_after_the_first() -> None:
    first = dead_letter_headers(a_record(), "media", Reason.UNDECODABLE_IMAGE, "first", "w")
    again = dead_letter_headers(a_record(first), "media", Reason.UNDECODABLE_IMAGE, "second", "w")
    messages = [value for name, value in again if name == "mmworker.error.message"]
    assert messages == [b"first", b"second"]


@given(times)
def test_a_late_event_says_where_it_was_and_what_it_was_late_for(watermark: int) -> None:
    headers = late_headers(a_record(), watermark)
    assert headers[: len(ODD_HEADERS)] == ODD_HEADERS
    added = texts(headers[len(ODD_HEADERS) :])
    assert faults(added, load_schema("headers.late-event.v1")) == []


def test_the_watermark_of_a_late_event_is_a_time() -> None:
    added = texts(late_headers(a_record(()), 1_500_000))
    assert added == {
        "mmworker.late.topic": "frames",
        "mmworker.late.partition": "3",
        "mmworker.late.offset": "4831",
        "mmworker.late.watermark": "1970-01-01T00:00:01.500Z",
    }


@pytest.mark.parametrize("value", [None, b"", b"12345"])
def test_a_value_up_to_the_cap_stays(value: bytes | None) -> None:
    assert capped_value(value, cap=5) == (value, ())


def test_a_value_over_the_cap_leaves_its_digest_and_size() -> None:
    value, headers = capped_value(b"123456", cap=5)
    assert value is None
    assert texts(headers) == {
        "mmworker.error.value_sha256": sha256(b"123456").hexdigest(),
        "mmworker.error.value_size": "6",
    }
    error = dead_letter_headers(a_record(()), "envelope", Reason.TOO_LARGE, "too large", "w")
    assert faults(texts(error + headers), load_schema("headers.dead-letter.v1")) == []


@pytest.mark.parametrize("of", KINDS_OF_REDRIVE)
def test_a_record_that_is_put_back_is_an_input_that_says_so(of: RedriveOf) -> None:
    envelope = tuple(
        (name, text.encode()) for name, text in load_example("headers.input.frame").items()
    )
    put_back = redrive_headers(late_headers(a_record(envelope), 0), of)
    assert faults(texts(put_back), load_schema("headers.input.v1")) == []
    added = texts(put_back[len(envelope) :])
    assert added == {"mmworker.redrive.attempt": "1", "mmworker.redrive.of": of}


@pytest.mark.parametrize("of", KINDS_OF_REDRIVE)
def test_what_fails_or_is_late_again_still_says_how_often_it_was_put_back(of: RedriveOf) -> None:
    put_back = a_record(redrive_headers((), of))
    error = dead_letter_headers(put_back, "media", Reason.UNDECODABLE_IMAGE, "again", "w")
    assert faults(texts(error), load_schema("headers.dead-letter.v1")) == []
    late = late_headers(put_back, 0)
    assert faults(texts(late), load_schema("headers.late-event.v1")) == []
    for headers in (error, late):
        assert texts(headers)["mmworker.redrive.attempt"] == "1"
