"""The flag of a source whose p-values do not look usual any more."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from tests.scoring.moments import TEXT_DIM, normal
from worker.core.rfc3339 import seconds
from worker.scoring.drift import ALARM, RESTART, DriftMartingale
from worker.scoring.scored import ScoringRules
from worker.scoring.scorer import Scorer


def after(p_values: Iterable[float]) -> DriftMartingale:
    found = DriftMartingale()
    for each in p_values:
        found.learn(float(each))
    return found


def uniform(count: int, seed: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.random.default_rng(seed).random(count)


def test_usual_moments_raise_no_flag() -> None:
    assert not any(after(uniform(3000, seed)).is_raised for seed in range(10))


def test_many_small_scores_raise_it_although_none_is_unusual() -> None:
    assert all(after(uniform(400, seed) ** 2).is_raised for seed in range(10))


def test_careful_p_values_raise_no_flag() -> None:
    assert not any(after(uniform(3000, seed) ** 0.5).is_raised for seed in range(10))


def judged(moments: int, slope: float) -> list[bool]:
    """Return the flag at each Moment of a source whose sound gets louder by `slope` at each."""
    scorer, flags = Scorer(ScoringRules(200, 0, 4.5e-5, TEXT_DIM)), []
    for number in range(moments):
        features = normal(number)
        louder = features["audio_windows"] + np.float16(slope * max(0, number - 500))
        features["audio_windows"] = louder.astype(np.float16)
        scored = scorer.score("/a", features, seconds(number), carried=False)
        scorer.learn("/a", features, seconds(number), scored, carried=False)
        flags.append(scored.assessment.drifting)
    return flags


def test_a_source_that_stays_as_it_is_raises_none_and_one_that_drifts_does() -> None:
    assert not any(judged(1300, 0))
    assert any(judged(800, 0.003))


def test_it_is_taken_back_when_all_is_usual_again() -> None:
    drifting = uniform(400, 1) ** 2
    assert not after([*drifting, *uniform(4000, 2)]).is_raised


def test_its_capital_has_bounds_whatever_comes() -> None:
    assert after([0.0] * 5000).capital == pytest.approx(ALARM)
    assert after([0.0, 1.0] * 3000).capital >= RESTART


def test_it_goes_on_from_its_state_bit_for_bit() -> None:
    first, rest = uniform(300, 3) ** 2, uniform(300, 4) ** 2
    restored = DriftMartingale()
    restored.restore(after(first).state())
    for each in rest:
        restored.learn(float(each))
    assert restored.capital == after([*first, *rest]).capital
    assert restored.is_raised
