"""What bench-quality says of p-values."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks.quality import targets
from tests.benchmarks.quality.judged import NOW
from tests.benchmarks.quality.measures import honesty, uniformity


def test_uniform_p_values_are_at_no_distance_from_uniform_ones() -> None:
    even = uniformity((np.arange(1000) + 0.5) / 1000)
    assert even.ks_distance == pytest.approx(0.0005)
    assert (even.below_01, even.below_001) == (0.01, 0.001)
    assert uniformity(np.full(10, 1.0)).ks_distance == 1


def test_honesty_is_that_of_normal_moments_alone() -> None:
    found = honesty(np.array(["", "", "rain", "fire"]), np.array([0.5, 1.0, 1e-3, 1e-9]))
    assert (found.below_01, found.nuisances_below_01) == (0, 1)


@pytest.mark.parametrize(("share", "reached"), [(0.015, True), (0.0151, False)])
def test_calm_hours_are_honest_within_one_and_a_half_times(share: float, *, reached: bool) -> None:
    (verdict,) = targets.of_hours({NOW: {"below_01": share}})
    assert verdict.is_reached == reached
