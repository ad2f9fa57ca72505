from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.feed.media import START, event
from worker.core import rfc3339
from worker.core.events import EVENT_TYPES, MODALITIES, Modality
from worker.feed.events import Piece, to_event, to_output

TOPICS = {Modality.FRAME: "frames", Modality.CAPTION: "captions", Modality.AUDIO: "sounds"}


def test_headers_are_the_envelope_in_cloudevents_binary_mode() -> None:
    output = to_output(event(START + 250_000, source="/cameras/é"), TOPICS)
    assert output.headers == (
        ("ce_specversion", b"1.0"),
        ("ce_id", b"some-id"),
        ("ce_source", "/cameras/é".encode()),
        ("ce_type", b"multimodal.caption.v1"),
        ("ce_time", b"2023-11-14T22:13:20.250Z"),
        ("content-type", b"text/plain; charset=utf-8"),
    )


def test_value_is_the_raw_media_and_key_the_source() -> None:
    output = to_output(event(source="/cameras/é"), TOPICS)
    assert (output.topic, output.value) == ("captions", b"A dog.")
    assert output.key == "/cameras/é".encode()
    assert output.partition is None


def test_a_correlation_id_becomes_a_header_of_its_own() -> None:
    output = to_output(event(correlation_id="visit-7"), TOPICS)
    assert output.headers[-1] == ("ce_correlationid", b"visit-7")


@given(st.sampled_from(MODALITIES), st.integers(0, 10**11), st.integers(0, 10**12))
def test_every_modality_and_time_survives_the_headers(
    modality: Modality, offset: int, start: int
) -> None:
    piece = Piece(offset, "image/jpeg", b"x")
    made = to_event(piece, source="a", modality=modality, start=start, number=1)
    headers = {name: (value or b"").decode() for name, value in to_output(made, TOPICS).headers}
    assert EVENT_TYPES[headers["ce_type"]] is modality
    assert rfc3339.parse(headers["ce_time"]) == start + offset


def test_ids_differ_between_numbers_modalities_and_runs_but_not_between_repetitions() -> None:
    def made(modality: Modality, start: int, number: int) -> str:
        piece = Piece(0, "image/jpeg", b"")
        return to_event(piece, source="a", modality=modality, start=start, number=number).id

    ids = [
        made(modality, start, number)
        for modality in MODALITIES
        for start in (START, START + 1)
        for number in (0, 1)
    ]
    assert len(set(ids)) == len(ids)
    assert made(Modality.FRAME, START, 123) == "frame-1700000000000000-000123"
