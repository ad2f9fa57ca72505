"""p-values: what they promise, above all where few scores are known."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.rfc3339 import seconds
from worker.scoring.bank import VectorBank
from worker.scoring.combine import (
    combined,
    contributions,
    expert_shares,
    merged,
    reasons,
    votes,
)
from worker.scoring.conformal import FAINT, LEAST_SPREAD, Calibration, CalibrationRing, drawn
from worker.scoring.experts import Voice
from worker.scoring.gaussian import OnlineGaussian, oas_covariance
from worker.scoring.lagged import LaggedScores


@pytest.mark.parametrize("samples", [40, 200, 2000])
@pytest.mark.parametrize("level", [0.1, 0.01, 0.001])
def test_p_values_of_exponential_scores_are_honest_at_any_sample_size(
    samples: int, level: float
) -> None:
    random = np.random.default_rng(samples)
    trials = 20_000 // (10 if samples == 2000 else 1)
    below = 0
    for _ in range(trials):
        scores = random.exponential(size=samples + 1)
        below += Calibration(scores[1:]).p_value(scores[0], tie=random.uniform(1e-9, 1)) <= level
    # Within four standard errors, and a fifth for the quantile that the tail begins at.
    assert below / trials <= 1.2 * level + 4 * (level / trials) ** 0.5


def test_constant_scores_are_ordinary() -> None:
    assert Calibration(np.ones(100)).p_value(1.0, tie=1.0) == 1.0
    assert Calibration(np.ones(100)).p_value(2.0, tie=1.0) == pytest.approx(1 / 101)


def test_what_harmless_changes_may_do_bounds_the_tail_from_below() -> None:
    steady = np.linspace(0, 0.01, 100)
    assert (
        Calibration(steady).p_value(1.0, 0.5, least_excess=0.5)
        > 1e-3
        > Calibration(steady).p_value(1.0, 0.5)
    )
    assert Calibration(np.ones(100)).p_value(1.0, 1.0, least_excess=0.5) == 1.0
    wide = np.linspace(0, 100, 100)
    assert Calibration(wide).p_value(99.0, 0.5, least_excess=0.5) == Calibration(wide).p_value(
        99.0, 0.5
    )


@given(
    st.lists(st.floats(-5, 5), min_size=10, max_size=60),
    st.floats(-10, 10),
    st.floats(0, 3),
    st.floats(0.01, 1),
)
def test_a_p_value_is_in_the_unit_interval_and_falls_with_the_score(
    calibration: list[float], score: float, more: float, tie: float
) -> None:
    known = np.array(calibration)
    p, q = Calibration(known).p_value(score, tie), Calibration(known).p_value(score + more, tie)
    assert 0 < q <= 1
    # The empirical part and the tail meet within a tie of the 90th percentile.
    assert q <= p + 2 / (len(known) + 1) + 0.1


def test_a_score_calibrates_only_after_its_lag() -> None:
    lagged = LaggedScores(["a", "b"])
    for time in range(10):
        lagged.add(seconds(time), {"a": float(time)} if time % 2 else {"a": time, "b": -time})
    settled = [list(scores) for scores in lagged.settled(seconds(3))]
    assert settled == [[0, 1, 2], [0, -2]]


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.booleans()), max_size=6),
    st.lists(st.integers(1, 4), max_size=8),
)
def test_scores_that_are_withheld_never_settle_unless_that_is_taken_back(
    spans: list[tuple[int, int, bool]], gaps: list[int]
) -> None:
    lagged, withheld = LaggedScores(["a", "b"]), set[int]()
    times = [sum(gaps[: place + 1]) for place in range(len(gaps))]
    for time in times:
        lagged.add(time, {"a": float(time)})
    for begin, end, is_withheld in spans:
        lagged.withhold(begin, end, is_withheld=is_withheld)
        meant = {time for time in times if begin <= time <= end}
        withheld = withheld | meant if is_withheld else withheld - meant
    again = LaggedScores(["a", "b"])
    again.restore(lagged.state())
    for each in (lagged, again):
        settled = each.settled(100)
        found = [list(scores) for scores in settled] if times else [[], []]
        assert found == [[float(t) for t in times if t not in withheld], []]


def test_median_and_spread_come_with_enough_scores() -> None:
    ring = CalibrationRing()
    ring.extend(range(7))
    assert ring.standard() is None
    ring.extend([1e9])  # one wild score moves neither far
    assert ring.standard() == (3.5, 1.4826 * 2)


@given(
    st.lists(st.floats(-3, 3, width=32) | st.integers(-2, 2).map(float), min_size=10, max_size=90),
    st.integers(1, 5),
)
def test_a_ring_knows_median_and_spread_of_its_last_scores_to_the_bit(
    scores: list[float], together: int
) -> None:
    ring, restored = CalibrationRing(capacity=40), CalibrationRing(capacity=40)
    for begin in range(0, len(scores), together):
        ring.extend(scores[begin : begin + together])
        restored.restore(ring.state())
    assert min(48, len(scores)) <= len(ring) < 51
    kept = np.sort(scores[-len(ring) :])
    median = float(np.median(kept))
    distances = np.abs(kept - median)
    spread = 1.4826 * float(np.median(distances))
    if spread < LEAST_SPREAD:
        spread = max(FAINT * 1.2533 * float(distances.mean()), LEAST_SPREAD)
    for each in (ring, restored):
        assert each.ordered.tolist() == kept.tolist()
        assert each.standard() == (median, spread)


def test_a_ring_that_is_taken_up_forgets_as_the_original_does() -> None:
    ring, restored = CalibrationRing(capacity=40), CalibrationRing(capacity=40)
    for score in range(97):
        ring.extend([score])
    restored.restore(ring.state())
    for score in range(97, 150):
        ring.extend([score])
        restored.extend([score])
        assert ring.ordered == restored.ordered
        assert 48 <= len(ring) < 51
        assert ring.ordered[-1] == score


def test_a_score_that_is_withdrawn_is_one_less_and_none_that_is_not_there() -> None:
    ring = CalibrationRing(capacity=32)
    ring.extend([3, 1, 4, 1, 5])
    ring.withdraw(1)
    ring.withdraw(7)
    assert ring.ordered.tolist() == [1, 3, 4, 5]
    for score in range(100):
        ring.extend([score])
    assert 32 <= len(ring) < 34


def test_scores_that_are_spread_over_their_sizes_are_no_more_than_asked_for() -> None:
    ring = CalibrationRing()
    for count in range(1, 60):
        ring.extend([-count])
        assert len(ring.spread(20)) <= 20
        assert len(ring.spread(60)) == count
    assert ring.spread(20).tolist() == list(range(-58, 0, 3))


def test_scores_settle_by_eighths_of_those_that_wait() -> None:
    lagged = LaggedScores(["a"])
    for time in range(40):
        lagged.add(time, {"a": float(time)})
    assert not lagged.settled(4)
    assert [list(scores) for scores in lagged.settled(7)] == [[0, 1, 2, 3, 4, 5, 6]]


def test_scores_that_are_all_equal_have_a_spread_above_zero() -> None:
    ring = CalibrationRing()
    ring.extend([1.0] * 8)
    assert ring.standard() == (1.0, 1e-6)


def test_draws_depend_on_their_parts_only_and_are_uniform() -> None:
    draws = np.array([drawn(2, 0, "a", place) for place in range(2000)])
    assert drawn(2, 0, "a", 1) == list(draws[1])
    assert len(np.unique(draws)) == draws.size
    assert draws.min() > 0
    assert draws.max() <= 1
    assert abs(draws.mean() - 0.5) < 0.02


class TestCombination:
    VOICES: ClassVar = {"a": Voice(), "b": Voice(0.1), "c": Voice(0.05, 1.5)}

    @pytest.mark.parametrize("level", [0.3, 0.05, 0.005])
    def test_it_is_exact_for_independent_p_values(self, level: float) -> None:
        rows = np.random.default_rng(1).uniform(size=(40_000, 3))
        found = [merged(dict(zip("abc", row, strict=True)), self.VOICES) for row in rows.tolist()]
        assert np.mean(np.array(found) <= level) == pytest.approx(level, rel=0.1)

    @given(st.floats(1e-12, 1))
    def test_equal_p_values_are_not_made_smaller(self, p: float) -> None:
        assert merged(dict.fromkeys("abc", p), self.VOICES) >= p * (1 - 1e-9)

    @given(st.floats(1e-290, 1))
    def test_one_alone_is_taken_as_it_is(self, p: float) -> None:
        for name in self.VOICES:
            assert merged({name: p}, self.VOICES) == pytest.approx(p, rel=1e-9)

    def test_the_smallest_decides(self) -> None:
        p = combined({"visual": 1e-9, "audio": 0.9, "text": 0.5})
        assert 1e-9 < p < 1e-7

    def test_one_that_is_near_1_takes_nothing_away(self) -> None:
        voices = dict.fromkeys("ab", Voice())
        beside = [merged({"a": 0.01, "b": p}, voices) for p in (0.5, 0.999, 1.0)]
        assert beside == pytest.approx([0.0199] * 3)

    def test_a_steep_voice_is_heard_when_it_is_sure(self) -> None:
        voices = Voice(0.05), Voice(0.05, 1.5)
        level, steep = (merged({"a": 1.0, "b": 1e-6}, {"a": Voice(), "b": b}) for b in voices)
        assert steep < level / 10

    def test_experts_of_one_modality_share_one_vote(self) -> None:
        found = votes({"audio_spectrum": 0.01, "audio": 0.5, "text": 0.3})
        assert set(found) == {"audio", "text"}
        assert found["audio"] == pytest.approx(0.02, rel=0.1)

    def test_contributions_name_the_modality_and_add_up(self) -> None:
        shares = contributions({"visual": 0.5, "audio": 1e-6, "fused": 1e-9}, {})
        assert shares["audio"] == 1
        assert sum(shares.values()) == 1
        assert sum(contributions({"visual": 0.5, "audio": 0.7}, {}).values()) == 0

    def test_a_contradiction_is_half_of_each_modality_s_and_so_is_its_expert(self) -> None:
        found = {"visual": 0.5, "audio": 0.7, "text": 0.9, "inconsistent": 1e-6}
        experts = {"visual_grid": 0.5, "described": 1e-6}
        assert contributions(found, experts) == {"frame": 0.5, "audio": 0, "caption": 0.5}
        assert expert_shares(found, experts) == {"described": 1}

    def test_fusion_speaks_for_all_alike_where_nothing_else_does(self) -> None:
        found = {"visual": 0.5, "audio": 0.7, "fused": 1e-6}
        assert contributions(found, {"fused": 1e-6}) == {"frame": 0.5, "audio": 0.5}

    def test_a_phrase_that_is_watched_for_is_as_loud_as_the_picture(self) -> None:
        experts = {"visual_grid": 0.4, "text": 0.3, "trigger:fire": 1e-6, "trigger:gun:frame": 0.2}
        found = votes(experts)
        assert combined(found) < 5e-6
        assert contributions(found, experts)["caption"] > 0.99
        assert reasons(found, experts) == ("trigger:fire",)
        both = {**experts, "trigger:gun:frame": 1e-5}
        assert reasons(votes(both), both) == ("trigger:fire", "trigger:gun")

    def test_reasons_are_the_strongest_votes(self) -> None:
        assert reasons({"visual": 1e-6, "audio": 0.4}, {}) == ("visual",)
        assert reasons({"visual": 1e-6, "audio": 1e-9}, {}) == ("audio", "visual")
        assert reasons({"visual": 1e-6, "fused": 1e-5}, {}) == ("visual",)
        assert reasons({"visual": 1e-2, "fused": 1e-5}, {}) == ("fused",)

    def test_a_cause_is_named_where_the_expert_on_it_is_sure_enough(self) -> None:
        seen = {"visual_grid": 1e-20, "camera_covered": 1e-11, "camera_moved": 1e-12}
        assert reasons({"visual": 1e-19}, seen) == ("visual:covered",)
        assert reasons({"visual": 1e-19}, {**seen, "camera_covered": 1e-9}) == ("visual",)
        covered = {"visual_grid": 1e-10, "camera_covered": 1e-11, "camera_moved": 1e-12}
        assert reasons({"visual": 1e-11}, covered) == ("visual:covered",)
        dark = {"visual_grid": 0.3, "camera_dark": 1e-8}
        assert reasons({"visual": 1e-8}, {**dark, "camera_covered": 1e-4}) == ("visual:dark",)
        assert reasons({"visual": 1e-8}, {**dark, "camera_covered": 1e-7}) == ("visual:covered",)
        heard = {"audio_spectrum": 1e-20, "audio_silent": 1e-10}
        assert reasons({"audio": 1e-19}, heard) == ("audio:silent",)

    def test_a_reason_tells_what_it_is_where_the_strongest_expert_knows(self) -> None:
        heard = {"visual_grid": 1e-4, "camera_covered": 1e-6}
        assert reasons({"visual": 1e-5}, heard) == ("visual:covered",)
        assert reasons({"visual": 1e-5}, {**heard, "visual_grid": 1e-30}) == ("visual",)

    def test_experts_on_one_cause_alone_hardly_dilute_the_others(self) -> None:
        alone = votes({"visual_grid": 1e-4})["visual"]
        among = votes({"visual_grid": 1e-4, "camera_dark": 0.5, "camera_frozen": 0.5})["visual"]
        assert among < 1.5 * alone

    @given(
        st.dictionaries(
            st.sampled_from(["visual", "audio", "text", "fused"]), st.floats(0, 1), min_size=1
        )
    )
    def test_it_stays_in_the_unit_interval(self, vote_p_values: dict[str, float]) -> None:
        assert 0 <= combined(vote_p_values) <= 1


def test_the_shrunk_covariance_is_what_scikit_learn_computes() -> None:
    random = np.random.default_rng(3)
    rows = random.normal(size=(40, 12)) @ random.normal(size=(12, 12))
    centred = rows - rows.mean(axis=0)
    covariance = centred.T @ centred / len(rows)
    mu, alpha, n, p = np.trace(covariance) / 12, np.mean(covariance**2), 40, 12
    rho = min(1.0, (alpha + mu**2) / ((n + 1) * (alpha - mu**2 / p)))
    expected = (1 - rho) * covariance + rho * mu * np.eye(12)
    assert np.allclose(oas_covariance(covariance, 40), expected)


def test_the_online_gaussian_follows_mean_and_covariance_of_the_stream() -> None:
    random = np.random.default_rng(5)
    rows = random.normal(size=(2000, 3)) @ np.diag([1, 2, 3]) + [1, 2, 3]
    gaussian = OnlineGaussian(3)
    for row in rows:
        gaussian.learn(row)
    # One standard deviation in one of three axes is a mean square of 1/3.
    assert gaussian.score(rows.mean(axis=0)) < np.log(1e-3)
    assert gaussian.score(rows.mean(axis=0) + np.array([0, 2, 0])) == pytest.approx(
        np.log(1 / 3), abs=0.15
    )


def test_the_bank_keeps_a_bounded_fair_sample() -> None:
    bank = VectorBank(1, capacity=64)
    bank.learn(np.arange(2000, dtype=np.float32)[:, None])
    assert len(bank) == 64
    kept = [row for row in range(2000) if bank.squares(np.array([[row]]))[0] == 0]
    assert 600 < np.mean(kept) < 1400
