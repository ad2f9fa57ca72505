"""The scorer: what is learned from what, for whom, and what can never get in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scoring.moments import normal, unusual
from tests.scoring.scorers import judged, rules, warmed
from worker.core.rfc3339 import seconds
from worker.scoring import sources as sources_module
from worker.scoring.conformal import CAPACITY, Calibration
from worker.scoring.lagged import LaggedScores
from worker.scoring.scorer import Scorer


def test_an_unusual_moment_of_a_warm_source_has_a_small_p_value_and_reasons() -> None:
    scorer = warmed()
    usual = judged(scorer, "/a", 120, normal(999))
    odd = judged(scorer, "/a", 121, unusual(5))
    assert usual.assessment.p_value is not None
    assert odd.assessment.p_value is not None
    assert odd.assessment.p_value < 1e-4 < usual.assessment.p_value
    assert odd.reasons
    assert not odd.assessment.warming_up


@pytest.mark.parametrize("age", [30, 60])
def test_what_a_source_has_not_shown_before_becomes_usual_only_while_it_is_young(age: int) -> None:
    scorer = warmed(60, "/neighbour")
    for place in range(age):
        judged(scorer, "/a", place, normal(place))
    odd = [judged(scorer, "/a", age + place, unusual(place)) for place in range(30)]
    first, last = (odd[place].assessment.p_value for place in (0, -1))
    assert first is not None
    assert last is not None
    assert first < 1e-3
    assert (last > 1e-2) == (age < rules().needed)


def test_a_cold_source_has_no_score_and_says_how_far_it_is() -> None:
    scored = judged(Scorer(rules()), "/a", 0, normal(0))
    assert scored.assessment.warming_up
    assert (scored.assessment.p_value, scored.assessment.score) == (None, None)
    assert scored.assessment.warmup is not None
    assert scored.assessment.warmup.need == 40


@pytest.mark.parametrize(
    ("feature", "change"),
    [("audio_windows", 0.02), ("luminance", 1), ("text", 0.03), ("fused", 0.01)],
)
@pytest.mark.parametrize("alike", [0, 3])  # neighbours of which the same holds
def test_the_first_change_of_a_young_source_that_always_showed_the_same_is_no_miracle(
    feature: str, change: float, alike: int
) -> None:
    scorer = warmed(source="/neighbour")
    same = normal(1)
    for place in range(30 * alike):
        judged(scorer, f"/{place % alike}", place, {**normal(place), feature: same[feature]})
    for place in range(30):
        judged(scorer, "/a", place, {**normal(1000 + place), feature: same[feature]})
    drawn = np.random.default_rng(0).normal(0, change, same[feature].shape)
    moved = (same[feature] + drawn).astype(np.float16)
    p = judged(scorer, "/a", 31, {**normal(5000), feature: moved}).assessment.p_value
    assert p is not None
    assert p > 1e-3


def test_a_known_source_of_which_nothing_is_looked_at_is_neither_judged_nor_warming_up() -> None:
    """As under overload, where pictures are left out of a camera without a microphone."""
    scorer = warmed()
    for place in range(120, 140):
        blind = judged(scorer, "/a", place, {}).assessment
        assert (blind.p_value, blind.warming_up, blind.warmup) == (None, False, None)
    assert judged(scorer, "/new", 140, {}).assessment.warming_up
    assert judged(scorer, "/a", 141, normal(141)).assessment.p_value is not None


def test_scoring_changes_nothing() -> None:
    scorer = warmed()
    before = scorer.score("/a", normal(7), seconds(200), carried=False)
    for seed in range(20):
        scorer.score("/a", unusual(seed), seconds(200), carried=False)
        scorer.score("/unknown", normal(seed), seconds(200), carried=False)
    assert scorer.score("/a", normal(7), seconds(200), carried=False) == before


def test_the_same_moments_give_the_same_scores_to_the_last_bit() -> None:
    ones, others = warmed(), warmed()
    for place in range(10):
        features = normal(place + 500)
        assert judged(ones, "/a", 130 + place, features) == judged(
            others, "/a", 130 + place, features
        )


def test_the_order_of_the_features_does_not_matter() -> None:
    scorer = warmed()
    features = normal(3)
    turned = dict(reversed(features.items()))
    assert scorer.score("/a", features, seconds(200), carried=False) == scorer.score(
        "/a", turned, seconds(200), carried=False
    )


NAMES = sorted(normal(0))


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(NAMES),
            st.sampled_from([np.nan, np.inf, -np.inf]),
            st.booleans(),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_a_feature_that_is_not_finite_is_skipped_named_and_never_learned(
    faults: list[tuple[str, float, bool]],
) -> None:
    poisoned, clean = warmed(60), warmed(60)
    for place, (name, value, whole) in enumerate(faults):
        good, bad = normal(300 + place), normal(300 + place)
        bad[name] = bad[name].copy()
        bad[name].flat[: None if whole else 1] = value
        del good[name]
        scored = judged(poisoned, "/a", 60 + place, bad)
        expected = judged(clean, "/a", 60 + place, good)
        assert scored.skipped == (name,)
        assert scored.assessment == expected.assessment
    after = poisoned.score("/a", normal(900), seconds(100), carried=False)
    assert after == clean.score("/a", normal(900), seconds(100), carried=False)
    assert all(np.isfinite(value) for value in after.raw.values())


def test_a_moment_of_nothing_is_no_score_and_no_harm() -> None:
    scorer = warmed()
    nothing = judged(scorer, "/a", 121, {})
    assert nothing.assessment.p_value is None
    assert nothing.raw == {}


def test_a_carried_caption_keeps_the_judgement_that_it_got() -> None:
    scorer = warmed()
    odd = normal(1) | {"text": unusual(1)["text"]}
    first = judged(scorer, "/a", 121, odd)
    second = judged(scorer, "/a", 122, odd, carried=True)
    assert second.raw["text"] == first.raw["text"]
    assert second.assessment.experts["text"] == first.assessment.experts["text"]


def test_a_moment_without_a_caption_in_between_does_not_change_that() -> None:
    scorer = warmed()
    odd = normal(1) | {"text": unusual(1)["text"]}
    first = judged(scorer, "/a", 121, odd)
    without = normal(2)
    del without["text"]
    judged(scorer, "/a", 121.5, without)  # one that was correlated
    second = judged(scorer, "/a", 122, odd, carried=True)
    assert second.raw["text"] == first.raw["text"]


def test_more_calibration_than_is_kept_is_not_waited_for() -> None:
    assert rules(100_000).needed == CAPACITY


def test_the_longest_unheard_source_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources_module, "MAX_SOURCES", 2)
    scorer = Scorer(rules())
    for place, source in enumerate(("/a", "/b", "/a", "/c")):
        judged(scorer, source, place, normal(place))
    assert list(scorer._sources) == ["/a", "/c"]


def test_scores_that_wait_for_their_lag_are_bounded() -> None:
    lagged = LaggedScores(["a"], capacity=5)
    for place in range(100):
        lagged.add(0, {"a": float(place)})
    assert [list(scores) for scores in lagged.settled(1)] == [[95, 96, 97, 98, 99]]


def test_a_p_value_is_never_zero_however_far_the_score() -> None:
    known = np.linspace(0, 1, 2000)
    for score in (1e3, 1e30, 1e300, float("inf")):
        assert 0 < Calibration(known).p_value(score, tie=0.5) < 1e-100


@given(st.lists(st.integers(0, 400), max_size=12))
def test_times_that_go_back_harm_nothing(times: list[int]) -> None:
    scorer = Scorer(rules(20))
    for place, second in enumerate(times):
        scored = judged(scorer, "/a", second, normal(place))
        assert scored.assessment.p_value is None or 0 < scored.assessment.p_value <= 1
