"""The flag of a source whose p-values do not look usual any more."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from worker.scoring.drift import ALARM, RESTART, DriftMartingale


def after(p_values: Iterable[float]) -> DriftMartingale:
    found = DriftMartingale()
    for each in p_values:
        found.learn(float(each))
    return found


def uniform(count: int, seed: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.random.default_rng(seed).random(count)


def test_usual_moments_raise_no_flag() -> None:
    assert not any(after(uniform(3000, seed)).is_raised for seed in range(10))


@pytest.mark.parametrize("power", [2, 1 / 2])
def test_many_small_scores_raise_it_although_none_is_unusual_and_so_do_large_ones(
    power: float,
) -> None:
    assert all(after(uniform(400, seed) ** power).is_raised for seed in range(10))


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
