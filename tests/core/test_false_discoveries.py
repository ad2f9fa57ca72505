"""The control of the false-discovery rate: LORD with memory decay, as a library has it."""

from __future__ import annotations

from math import log10

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from online_fdr.p_values import LORDMemoryDecay

from worker.core.false_discoveries import (
    BASE,
    DECAY,
    MAX_DISCOVERIES,
    MEMORY,
    Discoveries,
    DiscoveryRate,
)

P_VALUES = st.floats(-12, 0).map(lambda decades: 10.0**decades)


@given(st.floats(0.01, 0.99), st.lists(P_VALUES, max_size=60))
def test_levels_are_those_of_the_library(rate: float, p_values: list[float]) -> None:
    library = LORDMemoryDecay(rate, delta=DECAY, eta=BASE)
    control, known = DiscoveryRate(rate), Discoveries()
    for p in p_values:
        library.test_one(p)
        if len(known.found) == MAX_DISCOVERIES:
            return  # the library goes on adding up all of them
        level = control.level(known)
        assert level == pytest.approx(library.last_test_level, rel=1e-12)
        known = known.after(found=p <= level)


def test_without_alerts_the_level_stays_at_what_is_spent_in_any_case() -> None:
    rate, long_calm = DiscoveryRate(0.1), Discoveries(tests=10_000_000)
    assert rate.level(long_calm) == pytest.approx(0.1 * BASE / MEMORY)


def test_a_true_alert_lets_others_follow_and_is_forgotten_in_time() -> None:
    rate, calm = DiscoveryRate(0.1), Discoveries(tests=100_000)
    found = calm.after(found=True)
    later = [Discoveries(found.tests + after, found.found) for after in (0, 10, 1000, 20 * MEMORY)]
    levels = [rate.level(each) for each in later]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] > 100 * rate.level(calm)
    assert levels[-1] == pytest.approx(rate.level(calm), rel=1e-6)


def test_the_oldest_discoveries_are_given_up_which_only_lowers_the_level() -> None:
    known = Discoveries()
    for _ in range(MAX_DISCOVERIES + 8):
        known = known.after(found=True)
    assert known.found == tuple(range(9, MAX_DISCOVERIES + 9))
    all_of_them = Discoveries(known.tests, tuple(range(1, MAX_DISCOVERIES + 9)))
    assert DiscoveryRate(0.1).level(known) < DiscoveryRate(0.1).level(all_of_them)


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_no_larger_share_of_discoveries_is_false(rate: float) -> None:
    """Over 40 fleets of 5000 Moments, of which one in 200 is unusual."""
    random = np.random.default_rng(round(-log10(rate) * 100))
    false = discoveries = found = unusual = 0
    for _ in range(40):
        is_unusual = random.uniform(size=5000) < 1 / 200
        uniform = random.uniform(size=5000)
        p_values = np.where(is_unusual, uniform * 1e-7, uniform)
        control, known = DiscoveryRate(rate), Discoveries()
        for p, truly in zip(p_values.tolist(), is_unusual.tolist(), strict=True):
            is_found = p <= control.level(known)
            known = known.after(found=is_found)
            discoveries += is_found
            false += is_found and not truly
            found += is_found and truly
        unusual += int(is_unusual.sum())
    assert false <= rate * discoveries
    assert found == unusual  # none of them is missed
