from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from worker.core.events import MODALITIES, Modality
from worker.models.fusion import Array, Fusion, masked_softmax, orthonormal_rows

DIMS = {Modality.FRAME: 300, Modality.CAPTION: 40, Modality.AUDIO: 16}
MASKS = np.array(list(itertools.product([False, True], repeat=3)))


def embeddings(rows: int, seed: int = 0) -> dict[Modality, Array]:
    random = np.random.default_rng(seed)
    made = {}
    for modality, dim in DIMS.items():
        vectors = random.standard_normal((rows, dim)).astype(np.float32)
        made[modality] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return made


def test_every_mask_gives_a_finite_unit_vector_and_weights_that_sum_to_one() -> None:
    fused, weights = Fusion(DIMS, seed=7).forward(embeddings(8), MASKS)
    assert fused.shape == (8, 256)
    assert np.isfinite(fused).all()
    some = MASKS.any(axis=1)
    assert np.linalg.norm(fused, axis=1) == pytest.approx(some.astype(float), abs=1e-5)
    assert weights.sum(axis=1) == pytest.approx(some.astype(float), abs=1e-6)
    assert (weights[~MASKS] == 0).all()


def test_a_vector_does_not_depend_on_what_is_fused_with_it_to_the_last_bit() -> None:
    fusion, z = Fusion(DIMS, seed=7), embeddings(8)
    together, _ = fusion.forward(z, MASKS)
    for row in range(8):
        alone, _ = fusion.forward(
            {modality: vectors[row : row + 1] for modality, vectors in z.items()},
            MASKS[row : row + 1],
        )
        assert np.array_equal(alone[0], together[row])


def test_untrained_weights_are_equal_among_the_present() -> None:
    _, weights = Fusion(DIMS, seed=7).forward(embeddings(8), MASKS)
    for row, mask in zip(weights, MASKS, strict=True):
        assert row[mask] == pytest.approx(1 / max(1, mask.sum()))


def test_what_is_missing_is_never_looked_at() -> None:
    fusion, clean, dirty = Fusion(DIMS, seed=7), embeddings(8), embeddings(8)
    for place, modality in enumerate(MODALITIES):
        dirty[modality][~MASKS[:, place]] = np.nan
    assert np.array_equal(fusion.forward(clean, MASKS)[0], fusion.forward(dirty, MASKS)[0])


def test_a_modality_nobody_has_needs_no_embeddings() -> None:
    present = np.array([[True, False, False]])
    z = {Modality.FRAME: embeddings(1)[Modality.FRAME]}
    assert np.linalg.norm(Fusion(DIMS, seed=7).forward(z, present)[0]) == pytest.approx(1)


def test_no_rows_give_no_rows() -> None:
    fused, weights = Fusion(DIMS, seed=7).forward(embeddings(0), np.zeros((0, 3), bool))
    assert fused.shape == (0, 256)
    assert weights.shape == (0, 3)


def test_a_row_does_not_depend_on_its_batch() -> None:
    fusion, z = Fusion(DIMS, seed=7), embeddings(8)
    together, _ = fusion.forward(z, MASKS)
    for row in range(8):
        one = {modality: vectors[row : row + 1] for modality, vectors in z.items()}
        alone, _ = fusion.forward(one, MASKS[row : row + 1])
        assert alone[0] == pytest.approx(together[row], abs=1e-6)


def test_the_seed_alone_decides_the_projection() -> None:
    z, present = embeddings(1), np.ones((1, 3), bool)
    first, again, other = (Fusion(DIMS, seed).forward(z, present)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other, atol=0.01)


def test_modalities_count_alike_whatever_the_projection_keeps_of_them() -> None:
    fusion, z = Fusion(DIMS, seed=7), embeddings(64)
    both, _ = fusion.forward(z, np.tile([True, False, True], (64, 1)))
    frame, _ = fusion.forward(z, np.tile([True, False, False], (64, 1)))
    audio, _ = fusion.forward(z, np.tile([False, False, True], (64, 1)))
    assert (both * frame).sum(axis=1) == pytest.approx((both * audio).sum(axis=1), abs=1e-5)


@pytest.mark.parametrize(("rows", "columns"), [(256, 1280), (256, 128), (64, 64), (1, 5)])
def test_the_shorter_side_is_orthonormal(rows: int, columns: int) -> None:
    matrix = orthonormal_rows(rows, columns, 3).astype(np.float64)
    assert matrix.shape == (rows, columns)
    gram = matrix @ matrix.T if rows <= columns else matrix.T @ matrix
    assert np.abs(gram - np.eye(min(rows, columns))).max() < 1e-5


@given(
    arrays(np.float32, 3, elements=st.floats(-80, 80, width=32)),
    arrays(np.bool_, (4, 3)),
)
def test_the_masked_softmax_is_a_distribution_over_the_present(
    logits: Array, present: np.ndarray[tuple[int, int], np.dtype[np.bool_]]
) -> None:
    weights = masked_softmax(logits, present)
    assert np.isfinite(weights).all()
    assert (weights[~present] == 0).all()
    assert weights.sum(axis=1) == pytest.approx(present.any(axis=1).astype(float), abs=1e-5)
