"""Frames are spared the encoder only where nothing but faint noise tells them apart."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from worker.core.reuse import Look, differ_by_noise, shown_before

RANDOM = np.random.default_rng(0)
SCENE = RANDOM.integers(40, 216, (48, 64)).astype(np.uint8)


def seen(cells: NDArray[np.uint8], noise: float = 0.0) -> Look:
    """Return a picture of 4 x 4 pixels for each cell, with noise of so many levels on each."""
    pixels = np.kron(cells, np.ones((4, 4))) + RANDOM.normal(0, noise, (192, 256))
    return Look(cells, pixels.clip(0, 255).astype(np.uint8))


def with_object(cells: NDArray[np.uint8], levels: int) -> NDArray[np.uint8]:
    changed = cells.copy()
    changed[10, 20] += levels
    return changed


def test_the_same_picture_is_encoded_once() -> None:
    assert shown_before([seen(SCENE)] * 4) == [0, 0, 0, 0]


def test_faint_noise_of_pixels_and_cells_is_no_news() -> None:
    flicker = SCENE + np.where(
        RANDOM.random(SCENE.shape) < 0.3, RANDOM.choice([-1, 1], SCENE.shape), 0
    )
    assert differ_by_noise(seen(SCENE), seen(flicker.astype(np.uint8)))


@pytest.mark.parametrize("noise", [4.0, 20.0])
def test_noise_that_moves_embeddings_is_encoded(noise: float) -> None:
    assert not differ_by_noise(seen(SCENE, noise), seen(SCENE, noise))


def test_a_small_object_is_news_and_so_is_another_light() -> None:
    assert not differ_by_noise(seen(SCENE), seen(with_object(SCENE, 4)))
    assert not differ_by_noise(seen(SCENE), seen(SCENE + 1))


def test_what_is_spared_is_no_measure_for_the_next_one() -> None:
    """A slow change adds up until it is seen: each is compared with what was encoded."""
    steps = [seen(with_object(SCENE, levels)) for levels in (0, 2, 4, 6, 8)]
    assert shown_before(steps) == [0, 0, 2, 2, 4]


def test_pictures_of_other_sizes_are_all_encoded() -> None:
    other = Look(SCENE, np.zeros((96, 128), np.uint8))
    assert shown_before([seen(SCENE), other]) == [0, 1]
    assert shown_before([]) == []
