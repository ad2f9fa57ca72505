"""The envelope: which records are events, and what is wrong with the others, in a fixed order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.builders import TOPICS, TYPES, headers
from worker.core import rfc3339
from worker.core.envelope import (
    CONTENT_TYPES,
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    EnvelopeRules,
    Partitioner,
    parse,
)
from worker.core.events import Modality, Record
from worker.core.partitioner import partition_for
from worker.core.rfc3339 import seconds
from worker.errors import InvalidEventError, Reason

SOURCE = "/cameras/a"
NOW = seconds(100)


def rules(partitions: int = 1, partitioner: Partitioner = "murmur2") -> EnvelopeRules:
    return EnvelopeRules(
        modality_of_topic={topic: modality for modality, topic in TOPICS.items()},
        partitions=partitions,
        partitioner=partitioner,
        max_record_bytes=100,
        max_skew=seconds(10),
    )


GOOD = Record("frames", 0, 7, NOW, SOURCE.encode(), b"media", headers())


def reason(record: Record, using: EnvelopeRules | None = None) -> Reason:
    with pytest.raises(InvalidEventError) as caught:
        parse(record, using or rules())
    return caught.value.reason


def changed(**changes: str | None) -> Record:
    return replace(GOOD, headers=headers("frame", SOURCE, 100, **changes))


def test_a_good_record_is_an_event_with_all_that_its_headers_say() -> None:
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    one = parse(changed(ce_correlationid="c", traceparent=trace), rules())
    assert (one.source, one.modality, one.id, one.time) == (SOURCE, Modality.FRAME, "1", NOW)
    assert (one.correlation_id, one.traceparent, one.payload) == ("c", trace, b"media")


HOME = partition_for(SOURCE.encode(), 2, "murmur2")
AWAY = 1 - HOME

# One fault for each check, in the order of the checks.
FAULTS: dict[str, tuple[Reason, Callable[[Record], Record]]] = {
    "size": (Reason.TOO_LARGE, lambda record: replace(record, value=bytes(101))),
    "headers": (Reason.UNSUPPORTED_SPECVERSION, lambda r: with_header(r, "ce_specversion", "0.3")),
    "key": (Reason.KEY_MISMATCH, lambda record: replace(record, key=b"/cameras/else")),
    "partition": (Reason.WRONG_PARTITION, lambda record: replace(record, partition=AWAY)),
    "type": (Reason.UNKNOWN_TYPE, lambda r: with_header(r, "ce_type", "multimodal.smell.v1")),
    "time": (Reason.MALFORMED_TIME, lambda r: with_header(r, "ce_time", "yesterday")),
    "content type": (
        Reason.UNSUPPORTED_CONTENT_TYPE,
        lambda r: with_header(r, "content-type", "video/mp4"),
    ),
}


def with_header(record: Record, name: str, value: str) -> Record:
    changed = tuple((n, value.encode() if n == name else v) for n, v in record.headers)
    return replace(record, headers=changed)


@given(st.sets(st.sampled_from(list(FAULTS)), min_size=1))
def test_the_first_check_that_fails_names_the_reason(faults: set[str]) -> None:
    record = replace(GOOD, partition=HOME)
    for fault in faults:
        record = FAULTS[fault][1](record)
    first = min(faults, key=list(FAULTS).index)
    assert reason(record, rules(partitions=2)) is FAULTS[first][0]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (replace(GOOD, value=None), Reason.NULL_VALUE),
        (replace(GOOD, value=b""), Reason.EMPTY_VALUE),
        (replace(GOOD, value=bytes(101)), Reason.TOO_LARGE),
        (replace(GOOD, key=None), Reason.NULL_KEY),
        (replace(GOOD, key=b"/cameras/b"), Reason.KEY_MISMATCH),
        (replace(GOOD, topic="audio"), Reason.WRONG_TOPIC),
        (changed(ce_id=None), Reason.MISSING_HEADER),
        (changed(content_type=None), Reason.MISSING_HEADER),
        (changed(ce_id=""), Reason.MALFORMED_HEADER),
        (changed(ce_id="x" * 513), Reason.MALFORMED_HEADER),
        (changed(ce_correlationid=""), Reason.MALFORMED_HEADER),
        (changed(ce_id="a\nb"), Reason.MALFORMED_HEADER),
        (replace(GOOD, headers=(*headers(), ("ce_id", b"2"))), Reason.MALFORMED_HEADER),
        (replace(GOOD, headers=(*headers(), ("ce_x", b"\xff"))), Reason.MALFORMED_HEADER),
        (changed(ce_dataref="s3://bucket/1"), Reason.DATAREF_REFUSED),
        (changed(ce_specversion="1.1"), Reason.UNSUPPORTED_SPECVERSION),
        (changed(ce_time="2024-02-30T00:00:00Z"), Reason.MALFORMED_TIME),
        (changed(ce_time="1970-01-01T00:01:40"), Reason.MALFORMED_TIME),
        (changed(ce_time=rfc3339.format(NOW + seconds(10.001))), Reason.TIME_AHEAD),
        (changed(content_type="image/gif"), Reason.UNSUPPORTED_CONTENT_TYPE),
        (changed(content_type="audio/wav"), Reason.UNSUPPORTED_CONTENT_TYPE),
        (changed(content_type="image/jpeg; ="), Reason.UNSUPPORTED_CONTENT_TYPE),
    ],
)
def test_each_fault_has_its_reason(record: Record, expected: Reason) -> None:
    assert reason(record) is expected


def test_as_many_headers_and_bytes_of_them_as_are_allowed_are_fine() -> None:
    many = tuple((f"x{place}", b"") for place in range(MAX_HEADERS - len(headers())))
    parse(replace(GOOD, headers=(*headers(), *many)), rules())
    assert reason(replace(GOOD, headers=(*headers(), *many, ("y", b"")))) is Reason.TOO_MANY_HEADERS
    size = sum(len(name) + len(value or b"") for name, value in headers())
    large = ("x", bytes(MAX_HEADER_BYTES - size - 1))
    parse(replace(GOOD, headers=(*headers(), large)), rules())
    larger = ("xx", large[1])
    assert reason(replace(GOOD, headers=(*headers(), larger))) is Reason.HEADERS_TOO_LARGE


def test_a_time_just_within_the_skew_is_fine_and_the_past_is_not_limited() -> None:
    for text in (rfc3339.format(NOW + seconds(10)), "0002-01-01T00:00:00Z"):
        parse(changed(ce_time=text), rules())


@pytest.mark.parametrize(
    "text",
    [
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-14:00",
    ],
)
def test_a_time_that_could_not_be_written_again_is_malformed_whatever_the_log_says(
    text: str,
) -> None:
    assert reason(replace(changed(ce_time=text), timestamp=10**18)) is Reason.MALFORMED_TIME


def test_a_partition_that_another_partitioner_chose_is_told_apart_or_accepted() -> None:
    home = partition_for(SOURCE.encode(), 12, "crc32")
    record = replace(GOOD, partition=home)
    assert home != partition_for(SOURCE.encode(), 12, "murmur2")
    assert reason(record, rules(12)) is Reason.WRONG_PARTITION
    parse(record, rules(12, "crc32"))
    parse(record, rules(12, "any"))


def test_names_of_types_are_read_without_regard_to_case_and_with_their_parameters() -> None:
    kind = 'Image/JPEG; Quality="90"'
    one = parse(changed(content_type=kind), rules())
    assert one.content_type.name == "image/jpeg"
    assert one.content_type.parameter("quality", "") == "90"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("image/jpeg", "image/jpeg"),
        ('IMAGE/JPEG; b="1"; A=2', "image/jpeg;a=2;b=1"),
        ("image/jpeg;a=2;b=1;", "image/jpeg;a=2;b=1"),
        ('image/jpeg;a="2;b=1"', 'image/jpeg;a="2;b=1"'),
        ('image/jpeg;a=""', 'image/jpeg;a=""'),
    ],
)
def test_equal_types_have_one_text_and_different_ones_another(kind: str, text: str) -> None:
    one = parse(changed(content_type=kind), rules()).content_type
    assert str(one) == text
    assert parse(changed(content_type=text), rules()).content_type == replace(
        one, parameters=tuple(sorted(one.parameters))
    )


@pytest.mark.parametrize("modality", list(Modality))
def test_every_type_of_every_modality_is_accepted_in_its_topic(modality: Modality) -> None:
    for name in CONTENT_TYPES[modality]:
        record = replace(
            GOOD, topic=TOPICS[modality], headers=headers(modality.value, content_type=name)
        )
        assert parse(record, rules()).modality is modality
    assert TYPES[modality] in CONTENT_TYPES[modality]


def test_a_malformed_traceparent_is_left_out_and_harms_nothing() -> None:
    assert parse(changed(traceparent="00-zz"), rules()).traceparent is None
    raw = replace(GOOD, headers=(*headers(), ("traceparent", b"\xff")))
    assert parse(raw, rules()).traceparent is None


@given(
    st.binary(max_size=120) | st.none(),
    st.binary(max_size=20) | st.none(),
    st.lists(
        st.tuples(
            st.sampled_from([name for name, _ in headers()]) | st.text(max_size=8),
            st.binary(max_size=40) | st.none(),
        ),
        max_size=12,
    ),
)
def test_whatever_a_record_holds_it_is_an_event_or_has_a_reason(
    value: bytes | None, key: bytes | None, more: list[tuple[str, bytes | None]]
) -> None:
    record = replace(GOOD, value=value, key=key, headers=tuple(more))
    try:
        parse(record, rules())
    except InvalidEventError as error:
        assert error.reason in Reason
