"""The quicker forms of what numpy also has."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from worker.scoring.background import median_picture
from worker.scoring.gaussian import inverse_lower


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
