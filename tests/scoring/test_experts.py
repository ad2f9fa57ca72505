"""The contract of every expert, and what each of them is for."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from worker.scoring.background import MedianBackground
from worker.scoring.experts import (
    AUDIO_DIM,
    FUSED_DIM,
    MIN_LEARNED,
    VISUAL_DIM,
    Expert,
    build_experts,
)

TEXT_DIM = 24


def normal(seed: int) -> dict[str, NDArray[np.float16]]:
    """Features of an ordinary Moment: a still picture with sensor noise, hum, similar captions."""
    random = np.random.default_rng(seed)
    picture = np.tile(np.linspace(60, 180, 64), (48, 1)) + random.normal(0, 2, (48, 64))
    text = np.eye(TEXT_DIM)[random.integers(0, 4)] + random.normal(0, 0.02, TEXT_DIM)
    features = {
        "visual": random.normal(0, 0.1, VISUAL_DIM),
        "luminance": picture.clip(0, 255).round(),
        "audio_windows": random.normal(-6, 0.3, (4, AUDIO_DIM)),
        "text": text / np.linalg.norm(text),
        "fused": random.normal(0, 0.1, FUSED_DIM),
    }
    return {name: value.astype(np.float16) for name, value in features.items()}


def unusual(seed: int) -> dict[str, NDArray[np.float16]]:
    """The same camera with something in it that was never there."""
    features = normal(seed)
    features["visual"] = features["visual"] + np.float16(1)
    features["luminance"][20:30, 20:30] = 250
    features["audio_windows"][2] += np.float16(5)
    features["text"] = np.eye(TEXT_DIM)[10].astype(np.float16)
    features["fused"] = features["fused"] - np.float16(1)
    return features


def trained(expert: Expert, moments: int = 60) -> Expert:
    for seed in range(moments):
        expert.learn(normal(seed))
    return expert


NAMES = sorted(build_experts(TEXT_DIM))


@pytest.fixture(params=NAMES)
def make(request: pytest.FixtureRequest) -> Callable[[], Expert]:
    return lambda: build_experts(TEXT_DIM)[request.param]


def test_an_unusual_moment_scores_higher_than_normal_ones(make: Callable[[], Expert]) -> None:
    expert = trained(make())
    usual = [expert.score(normal(seed)) for seed in range(100, 140)]
    assert None not in usual
    odd = expert.score(unusual(141))
    assert odd is not None
    assert odd > max(score for score in usual if score is not None)


def test_a_cold_expert_says_nothing(make: Callable[[], Expert]) -> None:
    assert make().score(normal(0)) is None


def test_an_absent_feature_is_not_scored_and_not_learned(make: Callable[[], Expert]) -> None:
    expert, empty = trained(make()), dict[str, Any]()
    before = expert.score(normal(99))
    expert.learn(empty)
    assert expert.score(empty) is None
    assert expert.score(normal(99)) == before


def test_scoring_changes_nothing(make: Callable[[], Expert]) -> None:
    expert = trained(make())
    first = expert.score(unusual(1))
    for seed in range(20):
        expert.score(unusual(seed))
    assert expert.score(unusual(1)) == first


def test_the_same_moments_give_the_same_state(make: Callable[[], Expert]) -> None:
    one, other = trained(make(), 300), trained(make(), 300)
    assert one.score(unusual(7)) == other.score(unusual(7))


def test_a_copy_of_the_state_goes_on_as_the_original_does(make: Callable[[], Expert]) -> None:
    original = trained(make())
    restored = copy.deepcopy(original)
    for expert in (original, restored):
        expert.learn(normal(500))
    assert original.score(unusual(3)) == restored.score(unusual(3))


def test_constant_features_stay_finite(make: Callable[[], Expert]) -> None:
    expert, still = make(), normal(0)
    for _ in range(MIN_LEARNED + 300):
        expert.learn(still)
    score = expert.score(still)
    assert score is not None
    assert np.isfinite(score)


def test_a_visitor_of_a_few_moments_leaves_no_ghost_in_the_background() -> None:
    background = MedianBackground()
    for seed in range(80):
        picture = unusual(seed) if 20 <= seed < 24 else normal(seed)
        background.learn(picture["luminance"])
    deviation = background.deviation(normal(200)["luminance"])
    assert deviation is not None
    assert deviation.max() < np.log1p(4)  # sensor noise of 2 levels, averaged
