"""Harmless changes: what they are, and that a source that has not seen them bears them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.scoring.moments import normal, scenery, unusual
from worker.scoring.experts.grid import WIDENED, GridExpert
from worker.scoring.gaussian import OnlineGaussian
from worker.scoring.nuisances import KINDS, changed
from worker.scoring.photometry import gains, lit, sampled


@pytest.mark.parametrize("number", range(2 * len(KINDS)))
def test_a_change_is_a_picture_again_and_the_same_each_time(number: int) -> None:
    picture = scenery().astype(np.float16)
    after = changed(picture, number)
    assert after.shape == picture.shape
    assert after.min() >= 0
    assert after.max() <= 255
    assert (after == changed(picture, number)).all()
    assert np.abs(after - picture).mean() > 0.1


def test_a_source_bears_changes_that_it_has_not_seen_better_than_a_new_object() -> None:
    expert = GridExpert()
    for seed in range(120):
        expert.learn(normal(seed))
    odd = expert.score(unusual(1))
    assert odd is not None
    for number in range(WIDENED, WIDENED + 40):  # none of those that it was shown
        features = normal(number)
        features["luminance"] = changed(features["luminance"], number).astype(np.float16)
        score = expert.score(features)
        assert score is not None
        assert score < odd


def test_a_widened_gaussian_is_blunt_in_that_direction_only() -> None:
    random = np.random.default_rng(0)
    plain, widened = OnlineGaussian(3), OnlineGaussian(3)
    for row in random.normal(size=(400, 3)):
        plain.learn(row)
        widened.widen(np.array([10.0, 0, 0]))
        widened.learn(row)
    far, other = np.array([8.0, 0, 0]), np.array([0, 8.0, 0])
    assert widened.score(far) < plain.score(far) - 2
    assert widened.score(other) == pytest.approx(plain.score(other), abs=0.1)


def test_the_gain_is_that_of_most_of_the_picture() -> None:
    picture = scenery().astype(np.float32)
    brighter = picture * 1.3
    brighter[:10] = 0
    (gain,) = gains(sampled(brighter), sampled(picture[None]))
    assert gain == pytest.approx(1.3, rel=0.02)


def test_white_that_would_be_whiter_still_is_no_difference() -> None:
    picture = scenery().astype(np.float32)
    overexposed = np.clip(picture * 1.6, 0, 255)
    factors = gains(sampled(overexposed), sampled(picture[None]))
    (expected,) = lit(picture[None], factors)
    assert np.abs(overexposed - expected).max() < 5
