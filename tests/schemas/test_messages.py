"""Alerts, Observations and feedback: written as their schemas say, and read back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.schemas import strategies
from tests.schemas.files import EXAMPLE_NAMES, faults, load_example, load_schema, schema_of
from worker.core.messages import (
    Alert,
    Assessment,
    BundleRecord,
    ExpertScore,
    Feedback,
    Observation,
    ShadowRecord,
    read_alert,
    read_feedback,
    read_observation,
    to_json,
)

T = TypeVar("T")
Message = Alert | Observation | Feedback
Read = Callable[[bytes], Message]

READERS: dict[str, Read] = {
    "alert.v1": read_alert,
    "observation.v1": read_observation,
    "feedback.v1": read_feedback,
}
MESSAGE_EXAMPLES = [name for name in EXAMPLE_NAMES if schema_of(name) in READERS]
FULL_EXAMPLES = ["alert.open", "observation.full", "feedback"]


def encoded(document: object) -> bytes:
    return json.dumps(document).encode()


def reader(example: str) -> Read:
    return READERS[schema_of(example)]


def observation(name: str = "observation.full") -> Observation:
    return read_observation(encoded(load_example(name)))


def alert() -> Alert:
    return read_alert(encoded(load_example("alert.open")))


def backwards(mapping: Mapping[str, T]) -> dict[str, T]:
    return {name: mapping[name] for name in reversed(list(mapping))}


def fields_of(message: Message) -> dict[str, object]:
    """Return the fields of a message; arrays as values which can be compared."""

    def comparable(value: object) -> object:
        if isinstance(value, np.ndarray):
            return str(value.dtype), value.shape, value.tobytes()
        if isinstance(value, dict):
            return {key: comparable(inner) for key, inner in value.items()}
        if isinstance(value, ShadowRecord | BundleRecord):
            return {each.name: comparable(getattr(value, each.name)) for each in fields(value)}
        return value

    return {each.name: comparable(getattr(message, each.name)) for each in fields(message)}


@given(strategies.alerts())
def test_any_alert_is_as_its_schema_says_and_reads_back_equal(value: Alert) -> None:
    written = to_json(value)
    assert faults(json.loads(written), load_schema("alert.v1")) == []
    assert read_alert(written) == value


@given(strategies.observations())
def test_any_observation_is_as_its_schema_says_and_reads_back_equal(value: Observation) -> None:
    written = to_json(value)
    assert faults(json.loads(written), load_schema("observation.v1")) == []
    assert fields_of(read_observation(written)) == fields_of(value)


@given(strategies.feedbacks())
def test_any_feedback_is_as_its_schema_says_and_reads_back_equal(value: Feedback) -> None:
    written = to_json(value)
    assert faults(json.loads(written), load_schema("feedback.v1")) == []
    assert read_feedback(written) == value


@pytest.mark.parametrize("name", MESSAGE_EXAMPLES)
def test_an_example_is_read_and_written_again_as_it_was(name: str) -> None:
    example = load_example(name)
    message = reader(name)(encoded(example))
    assert json.loads(to_json(message)) == example


def test_equal_values_are_equal_bytes_whatever_the_order_of_their_mappings() -> None:
    value = observation()
    other = replace(
        value,
        features=backwards(value.features),
        assessment=replace(
            value.assessment,
            experts=backwards(value.assessment.experts),
            consistency=backwards(value.assessment.consistency),
            contributions=backwards(value.assessment.contributions),
        ),
    )
    assert list(other.features) != list(value.features)
    assert to_json(other) == to_json(value)


def test_a_message_is_one_compact_line_of_utf8() -> None:
    written = to_json(replace(alert(), source="/cameras/Straße", reasons=("trigger:a\nb",)))
    assert b"\n" not in written
    assert b'"source":"/cameras/Stra\xc3\x9fe","' in written


def test_vectors_are_little_endian_float16_in_base64() -> None:
    one_and_minus_two = np.array([1, -2], np.float16)  # 0x3C00, 0xC000
    value = replace(observation(), embedding=one_and_minus_two)
    assert json.loads(to_json(value))["embedding"] == {"dim": 2, "data": "ADwAwA=="}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite_are_refused(number: float) -> None:
    experts = {"text": ExpertScore(number, None)}
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(
            replace(observation(), assessment=replace(observation().assessment, experts=experts))
        )
    with pytest.raises(ValueError, match=r"p_value must be in 0\.\.1"):
        replace(observation().assessment, p_value=number)
    with pytest.raises(ValueError, match=r"threshold must be in 0\.\.1"):
        replace(alert(), threshold=number)
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(replace(alert(), contributions={"frame": number}))
    vector = np.array([0, number], np.float16)
    with pytest.raises(ValueError, match="not finite"):
        to_json(replace(observation(), embedding=vector))
    with pytest.raises(ValueError, match="not finite"):
        to_json(replace(observation(), features={"grid": vector}))


@pytest.mark.parametrize("score", [-0.001, 1.001])
def test_scores_outside_of_0_to_1_are_refused(score: float) -> None:
    with pytest.raises(ValueError, match=r"score must be in 0\.\.1"):
        Assessment(None, score, False, {}, {}, {})
    with pytest.raises(ValueError, match=r"score must be in 0\.\.1"):
        replace(alert(), score=score)


def test_a_vector_that_was_not_rounded_before_it_was_scored_is_refused() -> None:
    rough: Any = np.zeros(4, np.float32)
    with pytest.raises(ValueError, match="round the vector to float16"):
        to_json(replace(observation(), embedding=rough))


def test_an_embedding_has_one_axis() -> None:
    with pytest.raises(ValueError, match="one axis"):
        replace(observation(), embedding=np.zeros((2, 2), np.float16))


def test_a_window_may_be_a_point_but_not_end_before_it_starts() -> None:
    assert replace(observation(), window_start=5, window_end=5).window_end == 5
    with pytest.raises(ValueError, match="window_end"):
        replace(observation(), window_start=6, window_end=5)
    with pytest.raises(ValueError, match="window_end"):
        replace(alert(), window_start=6, window_end=5)


def test_the_messages_of_one_alert_have_different_message_ids() -> None:
    names = ("alert.open", "alert.update", "alert.close")
    life = [read_alert(encoded(load_example(name))) for name in names]
    assert len({each.alert_id for each in life}) == 1
    assert len({each.message_id for each in life}) == 3


def with_unknown_fields(value: object) -> object:
    """Add a field to every object that has fixed fields, at any depth."""
    open_maps = {"experts", "consistency", "contributions", "features", "raw_scores"}
    if isinstance(value, list):
        return [with_unknown_fields(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    known = {k: v if k in open_maps else with_unknown_fields(v) for k, v in value.items()}
    return {"from_the_future": {"x": 1}, **known}


@pytest.mark.parametrize("name", MESSAGE_EXAMPLES)
def test_readers_ignore_unknown_fields(name: str) -> None:
    known = load_example(name)
    extended = with_unknown_fields(known)
    assert json.dumps(extended).count("from_the_future") > (0 if name == "feedback" else 3)
    read = reader(name)
    assert fields_of(read(encoded(extended))) == fields_of(read(encoded(known)))


@pytest.mark.parametrize("name", FULL_EXAMPLES)
def test_a_reader_names_a_required_field_that_is_missing(name: str) -> None:
    example = load_example(name)
    for field in load_schema(schema_of(name))["required"]:
        short = {key: value for key, value in example.items() if key != field}
        with pytest.raises(ValueError, match=rf"^\w+ has no field {field}$"):
            reader(name)(encoded(short))


@pytest.mark.parametrize("name", FULL_EXAMPLES)
def test_a_reader_names_a_field_of_the_wrong_kind(name: str) -> None:
    example = load_example(name)
    for field in example:
        with pytest.raises(ValueError, match=rf"{field} must be "):
            reader(name)(encoded({**example, field: 3.5}))


@pytest.mark.parametrize(
    ("path", "wrong", "sentence"),
    [
        (("inputs", 0, "offset"), -1, "offset must be a whole number from 0 on"),
        (("inputs", 0, "offset"), True, "offset must be a whole number from 0 on"),
        (("inputs", 0, "time"), "2026-03-14T09:26:53", "time must be an RFC 3339 time"),
        (("inputs", 0, "modality"), "lidar", "modality must be one of frame, caption, audio"),
        (("inputs", 0), [], r"inputs\[\] must be a JSON object"),
        (("modalities", "present"), ["lidar"], "present must be one of frame, caption, audio"),
        (("assessment", "warming_up"), 0, "warming_up must be true or false"),
        (("assessment", "score"), True, "score must be a number"),
        (("assessment", "score"), 10**400, "score must be a finite number"),
        (("assessment", "experts", "grid", "score"), 1.5, "score must be in 0..1"),
        (("decision", "severity"), "extreme", "severity must be one of low, medium"),
        (("degraded",), [1], "degraded must be a list of texts"),
        (("embedding", "data"), "????", "not base64"),
        (("embedding", "dim"), 3, "do not fit its shape"),
        (("embedding", "data"), "AAAA" * 11, "do not fit its shape"),
        (("features", "grid", "data"), "AHw=" * 12, "not base64"),
        (("features", "grid"), {"shape": [1], "data": "AHw="}, "not finite"),
        (("features", "grid"), {"shape": [0, 10**30], "data": ""}, "do not fit its shape"),
        (("features", "grid", "shape"), [3.0], "shape must be a list of whole numbers"),
    ],
)
def test_a_reader_says_what_is_wrong_deep_inside(
    path: tuple[str | int, ...], wrong: object, sentence: str
) -> None:
    document: Any = load_example("observation.full")
    parent = document
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = wrong
    with pytest.raises(ValueError, match=sentence):
        read_observation(encoded(document))


def test_a_feedback_that_names_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="must name an alert_id or an observation_id"):
        read_feedback(b'{"source":"/a","label":"normal","time":"2026-03-14T09:26:53Z"}')


@pytest.mark.parametrize(
    "value",
    [b"", b"{", b"\xff\xfe", b'{"source": NaN}', b"[" * 200_000, b'{"a":' + b"1" * 5000 + b"}"],
    ids=["empty", "cut", "not UTF-8", "NaN", "deeply nested", "endless number"],
)
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_what_is_not_json_is_refused(read: Read, value: bytes) -> None:
    with pytest.raises(ValueError, match="is not JSON in UTF-8"):
        read(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def steps_of(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the paths of all values inside of a document."""
    inner: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    if isinstance(value, list):
        inner = list(enumerate(value))
    return [path] * bool(path) + [p for key, v in inner for p in steps_of(v, (*path, key))]


@given(st.data())
def test_no_message_makes_a_reader_fail_in_another_way(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(MESSAGE_EXAMPLES))
    document: Any = deepcopy(load_example(name))
    path = data.draw(st.sampled_from(steps_of(document)))
    parent = document
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = data.draw(json_values)
    try:
        reader(name)(encoded(document))
    except ValueError as error:
        assert "\n" not in str(error)
