"""The quicker forms of what numpy also has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from worker.scoring import gaussian
from worker.scoring.background import median_picture
from worker.scoring.gaussian import RIDGE, WIDENING, OnlineGaussian, oas_covariance
from worker.scoring.whitening import Dense, LowRank, inverse_lower


@given(count=st.integers(1, 25), seed=st.integers(0, 1000), levels=st.integers(1, 256))
def test_the_median_picture_is_numpys_median(count: int, seed: int, levels: int) -> None:
    pictures = np.random.default_rng(seed).integers(0, levels, (count, 3, 5), dtype=np.uint8)
    before = pictures.copy()
    assert (median_picture(list(pictures)) == np.median(pictures, axis=0)).all()
    assert (pictures == before).all()


@given(dim=st.integers(1, 200), seed=st.integers(0, 1000))
def test_a_lower_triangle_times_its_inverse_is_the_identity(dim: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    samples = random.standard_normal((dim, 2 * dim))
    factor = np.linalg.cholesky(samples @ samples.T / dim + np.eye(dim))
    inverse = inverse_lower(factor)
    np.testing.assert_allclose(inverse @ factor, np.eye(dim), atol=1e-9)
    assert (inverse == np.tril(inverse)).all()


@given(dim=st.integers(2, 60), rank=st.integers(1, 30), seed=st.integers(0, 1000))
def test_few_vectors_give_the_inverse_that_their_whole_covariance_gives(
    dim: int, rank: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    factors, x = random.standard_normal((rank, dim)), random.standard_normal(dim)
    low, dense = LowRank(0.01, factors), Dense.of_covariance(_covariance(0.01, factors))
    assert low.distance(x) == pytest.approx(dense.distance(x), rel=1e-3)
    np.testing.assert_allclose(low.solve(x), dense.solve(x), atol=1e-3 * np.abs(low.solve(x)).max())


@pytest.mark.parametrize("updates", [2, 9, 15, 16, 40])
def test_a_gaussian_of_few_updates_is_that_of_their_shrunk_covariance(updates: int) -> None:
    random = np.random.default_rng(updates)
    online, dim = OnlineGaussian(64), 64
    mean, covariance, nuisance = np.zeros(dim), np.zeros((dim, dim)), np.zeros((dim, dim))
    for t in range(1, updates + 1):
        x, e = random.standard_normal((2, dim)) * np.linspace(1, 5, dim)
        online.widen(e)
        online.learn(x)
        nuisance += (np.outer(e, e) - nuisance) / t
        covariance = (1 - 1 / t) * (covariance + np.outer(x - mean, x - mean) / t)
        mean += (x - mean) / t
        if t < 16 or t == 37:  # at 16 and 38 to 40 the inverse is not renewed
            widened = nuisance + RIDGE * np.trace(nuisance) / dim * np.eye(dim)
            shrunk = oas_covariance(covariance, t) + WIDENING * widened
    x = random.standard_normal(dim)
    distance = (x - mean) @ np.linalg.solve(shrunk, x - mean)
    assert online.score(x) == pytest.approx(np.log(distance / dim), abs=1e-4)


def test_blocks_come_to_what_one_vector_after_the_other_comes_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = np.random.default_rng(0).standard_normal((400, 8)) * np.arange(1, 9) + 3
    one, blocks = OnlineGaussian(8), OnlineGaussian(8)
    monkeypatch.setattr(gaussian, "REFRESH_LIMIT", 1)
    for row in rows:
        one.learn(row)
    monkeypatch.setattr(gaussian, "BLOCK_SHARE", 10)
    for row in rows:
        blocks.learn(row)
    taken = 400 - len(blocks.state()["waiting"])  # the others are of the next block
    np.testing.assert_allclose(blocks.state()["mean"], rows[:taken].mean(axis=0), rtol=1e-5)
    x = rows[0] + 5
    assert one.score(x) == pytest.approx(blocks.score(x), abs=0.02)


def test_a_gaussian_that_is_taken_up_within_a_block_goes_on_as_it_would_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gaussian, "BLOCK_SHARE", 10)
    rows = np.random.default_rng(1).standard_normal((300, 70))
    original, restored = OnlineGaussian(70), OnlineGaussian(70)
    for row in rows[:205]:
        original.learn(row)
    assert len(original.state()["waiting"])
    restored.restore({name: array.copy() for name, array in original.state().items()})
    for row in rows[205:]:
        assert original.score(row) == restored.score(row)
        original.learn(row)
        restored.learn(row)
    before, after = original.state(), restored.state()
    assert all((before[name] == after[name]).all() for name in before)


def _covariance(floor: float, factors: NDArray[np.float64]) -> NDArray[np.float64]:
    return floor * np.eye(factors.shape[1]) + factors.T @ factors
