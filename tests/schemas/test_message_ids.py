"""Ids follow from what they name, and from nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.schemas.files import load_example
from tests.schemas.strategies import names
from worker.core import rfc3339
from worker.core.messages import alert_id, observation_id

SOURCE = "/cameras/north-gate"

moments = st.tuples(
    names, st.integers(-5, 5) | st.integers(), st.integers(-5, 5), st.none() | names | st.just("")
)
rules = st.tuples(names, names, st.integers(-5, 5))


@given(moments, moments)
def test_different_moments_have_different_ids(
    one: tuple[str, int, int, str | None], other: tuple[str, int, int, str | None]
) -> None:
    assert (observation_id(*one) == observation_id(*other)) == (one == other)


@given(rules, rules)
def test_different_alerts_have_different_ids(
    one: tuple[str, str, int], other: tuple[str, str, int]
) -> None:
    assert (alert_id(*one) == alert_id(*other)) == (one == other)


def test_what_moves_from_one_field_to_the_next_makes_a_different_id() -> None:
    ids = {
        alert_id("ab", "c", 1),
        alert_id("a", "bc", 1),
        alert_id("a", "b", 1),
        observation_id("a", 1, 12, None),
        observation_id("a", 11, 2, None),
        observation_id("a", 1, 12, ""),
        observation_id("a", 1, 12, "None"),
    }
    assert len(ids) == 7


def test_ids_stay_what_they_are_from_release_to_release() -> None:
    assert observation_id(SOURCE, 0, 1_000_000, None) == "f15754570a4723db78682289497acd99"
    assert observation_id(SOURCE, 0, 1_000_000, "c") == "e0cd15786fed4fa1e7bc42f0e8058953"
    assert alert_id(SOURCE, "anomaly", 0) == "2c1314be0abfbc5cd029b6e8f470eff9"


def test_the_ids_in_the_examples_are_those_of_their_moments() -> None:
    opened = load_example("alert.open")
    start = rfc3339.parse(opened["window_start"])
    assert opened["alert_id"] == alert_id(opened["source"], "anomaly", start)
    for name in ("full", "partial", "correlated", "warming-up"):
        example = load_example(f"observation.{name}")
        start, end = rfc3339.parse(example["window_start"]), rfc3339.parse(example["window_end"])
        expected = observation_id(example["source"], start, end, example.get("correlation_id"))
        assert example["observation_id"] == expected
