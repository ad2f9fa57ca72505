"""Metrics against their definitions, and how sure they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.builders import moment
from worker.core.rfc3339 import seconds
from worker.evaluation import bootstrap, metrics
from worker.evaluation.metrics import Array
from worker.evaluation.moments import Judged

samples = st.lists(
    st.tuples(st.booleans(), st.floats(1e-9, 1), st.integers(0, 3)), min_size=2, max_size=60
)


@given(samples)
def test_auroc_is_the_share_of_pairs_in_the_right_order(
    sample: list[tuple[bool, float, int]],
) -> None:
    unusual, p, weights = (np.array(column) for column in zip(*sample, strict=True))
    if not metrics.has_both(unusual, weights):
        return
    pairs = [
        (w * v, 1.0 if p[i] < p[j] else 0.5 if p[i] == p[j] else 0.0)
        for i, w in enumerate(weights)
        for j, v in enumerate(weights)
        if unusual[i] and not unusual[j]
    ]
    expected = sum(w * right for w, right in pairs) / sum(w for w, _ in pairs)
    assert metrics.auroc(unusual, p, weights) == pytest.approx(expected)


def test_recall_and_f1_at_the_budget_follow_their_definitions() -> None:
    unusual, p = np.array([1, 1, 1, 0, 0], bool), np.array([0.001, 0.01, 0.5, 0.01, 0.9])
    assert metrics.recall_at(0.01, unusual, p) == pytest.approx(2 / 3)
    assert metrics.recall_at(0.01, unusual, p, np.array([1, 0, 1, 9, 9])) == pytest.approx(1 / 2)
    assert metrics.f1_at(0.01, unusual, p) == pytest.approx(2 / 3)
    assert metrics.best_f1(unusual, p) == pytest.approx(6 / 7)


def test_uniform_p_values_are_calibrated_and_others_are_not() -> None:
    uniform = (np.arange(1000) + 0.5) / 1000
    assert metrics.uniformity(uniform) < 0.002
    assert metrics.calibration_error(uniform) < 0.002
    assert metrics.uniformity(uniform**2) == pytest.approx(0.25, abs=0.01)
    assert metrics.calibration_error(uniform**2) > 0.1


def test_curves_run_between_the_corners() -> None:
    unusual, p = np.array([1, 0, 1, 0], bool), np.array([1e-8, 0.2, 0.3, 0.9])
    roc, precision_recall = metrics.roc_points(unusual, p), metrics.pr_points(unusual, p)
    assert (roc[0], roc[-1]) == ((0, 0), (1, 1))
    assert (precision_recall[0], precision_recall[-1]) == ((1, 0.5), (0, 1))


def drawn(moments: Sequence[Judged], count: int, seed: int) -> Array:
    """Return the weights of all resamples with blocks of ten seconds, (count, n)."""
    resamples = bootstrap.draw(moments, seconds(10), count, seed)
    return np.array(list(resamples.weights(np.ones(len(moments), dtype=bool))))


class TestTheBootstrap:
    moments = tuple(moment(at, source=source) for source in ("/a", "/b") for at in range(30))

    def drawn(self, seed: int = 0) -> Array:
        return drawn(self.moments, 40, seed)

    def test_a_block_is_drawn_as_a_whole_and_as_many_as_there_are(self) -> None:
        drawn = self.drawn()
        assert drawn.shape == (40, 60)
        blocks = drawn.reshape(40, 6, 10)
        assert (blocks == blocks[:, :, :1]).all()
        assert (blocks[:, :, 0].sum(axis=1) == 6).all()

    def test_a_seed_decides_all(self) -> None:
        assert (self.drawn(7) == self.drawn(7)).all()
        assert (self.drawn(7) != self.drawn(8)).any()

    def test_an_interval_holds_the_truth_about_as_often_as_it_says(self) -> None:
        """A mean of independent blocks: 95% intervals of 100 experiments, give or take."""
        random, hits = np.random.default_rng(3), 0
        for experiment in range(100):
            values = np.repeat(random.normal(size=30), 10)
            many = [moment(at) for at in range(300)]
            again = np.array([w @ values / w.sum() for w in drawn(many, 100, experiment)])
            found = bootstrap.interval(float(values.mean()), again)
            assert found.low is not None
            assert found.high is not None
            hits += found.low <= 0 <= found.high
        assert 85 <= hits <= 99

    def test_there_is_no_interval_where_hardly_any_resample_has_a_number(self) -> None:
        few = np.full(40, np.nan)
        few[:5] = 0.5
        assert bootstrap.interval(0.5, few).low is None
