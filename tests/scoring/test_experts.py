"""The contract of every expert, and what each of them is for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.scoring.moments import TEXT_DIM, Features, contradicted, normal, tampered, unusual
from worker.core.events import PAIRS
from worker.scoring.background import MedianBackground
from worker.scoring.experts import (
    DETAILS,
    LEAST_EXCESS,
    MIN_LEARNED,
    VOTE_VOICES,
    VOTES,
    Expert,
    build_experts,
    finite,
    seen,
    voters,
)
from worker.scoring.experts.described import DescribedExpert

WATCHED = ("trigger:fire", "trigger:fire:frame")
ADDED = (*PAIRS, *WATCHED)
NAMES = sorted(build_experts(TEXT_DIM, ADDED))
TAMPERING = sorted(set(DETAILS) - {"text_danger", "described", *PAIRS})
MAX_BYTES = 400_000  # of one expert of one source, when its memory is full

Make = Callable[[], Expert]


def trained(expert: Expert, moments: int = 60) -> Expert:
    for seed in range(moments):
        expert.learn(normal(seed))
    return expert


def odd(name: str, seed: int) -> Features:
    if name == "described":
        return contradicted(seed)
    return tampered(name, seed) if name in TAMPERING else unusual(seed)


def score(expert: Expert, features: Features) -> float:
    value = expert.score(features)
    assert value is not None
    return value


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make(name: str) -> Make:
    return lambda: build_experts(TEXT_DIM, ADDED)[name]


def test_every_expert_has_one_vote_and_every_vote_a_weight() -> None:
    assert sorted([*WATCHED, *(name for each in VOTES.values() for name in each)]) == NAMES
    assert sorted(name for vote in VOTES for name in voters(vote, NAMES)) == NAMES
    assert set(VOTES) == set(VOTE_VOICES)
    assert set(DETAILS) | set(LEAST_EXCESS) <= set(NAMES)


def test_an_unusual_moment_scores_higher_than_normal_ones(name: str, make: Make) -> None:
    expert = trained(make())
    usual = [score(expert, normal(seed)) for seed in range(100, 140)]
    assert score(expert, odd(name, 141)) > max(usual)


def test_scores_are_finite_numbers(name: str, make: Make) -> None:
    expert = trained(make())
    for features in (normal(1), unusual(2), odd(name, 3), _zeros()):
        value = score(expert, features)
        assert isinstance(value, float)
        assert np.isfinite(value)


def test_a_cold_expert_says_nothing(make: Make) -> None:
    assert make().score(normal(0)) is None


def test_an_absent_feature_is_not_scored_and_not_learned(make: Make) -> None:
    expert, empty = trained(make()), dict[str, Any]()
    before = expert.score(normal(99))
    expert.learn(empty)
    assert expert.score(empty) is None
    assert expert.score(normal(99)) == before


def test_scoring_changes_nothing(make: Make) -> None:
    expert = trained(make())
    before = _copied(expert)
    for seed in range(20):
        expert.score(unusual(seed))
    assert _equal(expert.state(), before)


def test_scoring_and_learning_leave_the_features_alone(make: Make) -> None:
    expert, features = trained(make()), normal(5)
    expert.score(features)
    expert.learn(features)
    expert.learn(normal(6))
    assert _equal(features, normal(5))


def test_features_that_were_looked_at_give_the_scores_of_their_numbers(make: Make) -> None:
    expert = trained(make())
    looked_at, skipped = finite(unusual(3))
    assert not skipped
    assert expert.score(looked_at) == expert.score(looked_at) == expert.score(unusual(3))


def test_what_is_seen_in_a_feature_is_looked_for_once() -> None:
    looked_at, asked = finite(normal(0))[0], list[str]()

    def see(value: NDArray[Any]) -> float:
        asked.append("again")
        return float(value.mean())

    assert seen(looked_at, "luminance", see) == seen(looked_at, "luminance", see)
    assert asked == ["again"]
    assert seen(looked_at, "absent", see) is None


def test_the_same_moments_give_the_same_state(make: Make) -> None:
    one, other = trained(make(), 300), trained(make(), 300)
    assert _equal(one.state(), other.state())


@pytest.mark.parametrize("moments", [0, 1, MIN_LEARNED, 43, 300])
def test_an_expert_that_is_stored_and_taken_up_goes_on_as_the_original(
    make: Make, moments: int
) -> None:
    original, restored = trained(make(), moments), make()
    restored.restore(_copied(original))
    for seed in range(500, 500 + 2 * MIN_LEARNED):
        assert original.score(unusual(seed)) == restored.score(unusual(seed))
        original.learn(normal(seed))
        restored.learn(normal(seed))
    assert _equal(original.state(), restored.state())


def test_the_memory_of_an_expert_is_bounded(make: Make) -> None:
    expert = trained(make(), 600)
    before = {name: array.nbytes for name, array in expert.state().items()}
    assert sum(before.values()) <= MAX_BYTES


def test_constant_features_stay_finite(make: Make) -> None:
    expert, still = make(), normal(0)
    for _ in range(MIN_LEARNED + 300):
        expert.learn(still)
    assert np.isfinite(score(expert, still))


@pytest.mark.parametrize("how", TAMPERING)
def test_each_kind_of_tampering_is_told_by_the_expert_named_after_it(how: str) -> None:
    told = {}
    for each in TAMPERING:
        expert = trained(build_experts(TEXT_DIM)[each])
        usual = [score(expert, normal(seed)) for seed in range(100, 140)]
        allowed = max(float(np.std(usual)), LEAST_EXCESS[each])
        told[each] = (score(expert, tampered(how, 141)) - max(usual)) / allowed
    assert told[how] > 5


def test_a_visitor_of_a_few_moments_leaves_no_ghost_in_the_background() -> None:
    background = MedianBackground()
    for seed in range(80):
        picture = unusual(seed) if 20 <= seed < 24 else normal(seed)
        background.learn(picture["luminance"])
    assert np.abs(background.median() - normal(200)["luminance"]).mean() < 4  # noise of 2 levels


def test_a_shadow_that_came_slowly_is_no_change_and_a_thing_is_one_even_in_it() -> None:
    expert, shaded = trained(build_experts(TEXT_DIM)["visual_grid"], 120), 24
    usual = max(score(expert, normal(seed)) for seed in range(1000, 1040))
    assert score(expert, _shaded(normal(600), shaded)) > usual + 1
    for step in range(8 * shaded + 40):
        expert.learn(_shaded(normal(200 + step), until=min(shaded, step // 8)))
    assert score(expert, _shaded(normal(600), shaded)) < usual
    assert score(expert, _shaded(unusual(601), shaded)) > usual + 1


def test_a_caption_unlike_all_others_contradicts_nothing() -> None:
    expert = trained(build_experts(TEXT_DIM)["described"])
    odd = normal(100)
    odd["text"] = np.eye(TEXT_DIM)[10].astype(np.float16)
    right, wrong = score(expert, normal(100)), score(expert, contradicted(100))
    assert right < score(expert, odd) < wrong


def test_predictions_go_as_far_as_the_pictures_do() -> None:
    expert = DescribedExpert()
    trained(expert)
    score(expert, normal(100))
    fit, pairs = expert._fit, expert._pairs
    assert fit is not None
    assert pairs is not None
    texts = pairs.codes * pairs.scales[:, None]
    predicted = (texts @ texts.T - fit.shift) @ fit.weights
    pictures = np.stack([normal(seed)["visual"] for seed in range(60)]) - fit.mean
    assert np.vdot(predicted, pictures) == pytest.approx(np.vdot(predicted, predicted), rel=1e-3)


def test_words_that_were_said_are_not_taken_for_a_description() -> None:
    expert, said = trained(build_experts(TEXT_DIM)["described"]), normal(100)
    said["text_derived"] = np.array([0.5], np.float16)
    before = _copied(expert)
    expert.learn(said)
    assert expert.score(said) is None
    assert _equal(expert.state(), before)


def test_a_pair_that_is_unlearned_predicts_no_more() -> None:
    expert = trained(build_experts(TEXT_DIM)["described"])
    before = score(expert, contradicted(100))
    expert.learn(contradicted(100))
    assert score(expert, contradicted(100)) < before
    expert.unlearn(contradicted(100))
    assert score(expert, contradicted(100)) == before


@pytest.mark.parametrize("name", ["visual_grid", "camera_moved"])
@pytest.mark.parametrize("gain", [0.7, 1.3])
def test_another_light_on_the_same_scene_is_not_a_change(name: str, gain: float) -> None:
    expert = trained(build_experts(TEXT_DIM)[name])
    lit = normal(300)
    lit["luminance"] = (lit["luminance"] * gain).clip(0, 255).astype(np.float16)
    assert score(expert, lit) < score(expert, unusual(301))


def _shaded(features: Features, until: int) -> Features:
    features["luminance"][:, :until] *= np.float16(0.7)
    return features


def _zeros() -> Features:
    return {name: np.zeros_like(value) for name, value in normal(0).items()}


def _copied(expert: Expert) -> Features:
    return {name: array.copy() for name, array in expert.state().items()}


def _equal(one: Any, other: Any) -> bool:
    return set(one) == set(other) and all(np.array_equal(one[name], other[name]) for name in one)
