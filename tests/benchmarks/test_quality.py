"""What bench-quality says of p-values."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks.quality.measures import honesty, uniformity


def test_uniform_p_values_are_at_no_distance_from_uniform_ones() -> None:
    even = uniformity((np.arange(1000) + 0.5) / 1000)
    assert even.ks_distance == pytest.approx(0.0005)
    assert (even.below_01, even.below_001) == (0.01, 0.001)
    assert uniformity(np.full(10, 1.0)).ks_distance == 1


def test_honesty_is_that_of_normal_moments_alone() -> None:
    found = honesty(np.array(["", "", "rain", "fire"]), np.array([0.5, 1.0, 1e-3, 1e-9]))
    assert (found.below_01, found.nuisances_below_01) == (0, 1)
