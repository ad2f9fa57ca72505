"""Frames are spared the encoder only where nothing but faint noise tells them apart."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from worker.core.reuse import STANDS, Glimpse, Look, Reference, differ_by_noise, following
from worker.core.reuse import shown_before as chosen
from worker.core.rfc3339 import seconds

RANDOM = np.random.default_rng(0)
SCENE = RANDOM.integers(40, 216, (48, 64)).astype(np.uint8)
AGE = seconds(10)


def seen(cells: NDArray[np.uint8], noise: float = 0.0) -> Look:
    """Return a picture of 4 x 4 pixels for each cell, with noise of so many levels on each."""
    pixels = np.kron(cells, np.ones((4, 4))) + RANDOM.normal(0, noise, (192, 256))
    return Look(b"", cells, pixels.clip(0, 255).astype(np.uint8))


def glimpses(*looks: Look) -> list[Glimpse]:
    return [Glimpse(bytes([place]), place, look) for place, look in enumerate(looks)]


def glimpse(at: float, look: Look, key: str = "") -> Glimpse:
    """Return a frame at so many seconds; of a content of its own where no key is given."""
    return Glimpse((key or str(at)).encode(), seconds(at), look)


def with_object(cells: NDArray[np.uint8], levels: int) -> NDArray[np.uint8]:
    changed = cells.copy()
    changed[10, 20] += levels
    return changed


def test_the_same_picture_is_encoded_once() -> None:
    assert chosen(glimpses(*[seen(SCENE)] * 4)) == (0, 0, 0, 0)


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
    steps = glimpses(*(seen(with_object(SCENE, levels)) for levels in (0, 2, 4, 6, 8)))
    assert chosen(steps) == (0, 0, 2, 2, 4)


def test_within_a_moment_no_frame_stands_for_longer_than_that_either() -> None:
    frames = [glimpse(at, seen(SCENE)) for at in (0, 9, 11, 20)]
    assert chosen(frames, None, AGE) == (0, 0, 2, 2)
    assert chosen(frames) == (0, 0, 0, 0)


def test_pictures_of_other_sizes_and_masks_are_all_encoded() -> None:
    smaller = Look(b"", SCENE, np.zeros((96, 128), np.uint8))
    one = seen(SCENE)
    hidden = Look(b"mask", one.cells, one.pixels)
    assert chosen(glimpses(one, smaller)) == (0, 1)
    assert chosen(glimpses(one, hidden)) == (0, 1)
    assert chosen([]) == ()


OTHER = (255 - SCENE).astype(np.uint8)


def test_a_reference_stands_until_it_is_too_old_or_the_picture_another_one() -> None:
    reference = Reference(glimpse(0, seen(SCENE)), 0, 0, 1)
    for at, expected in ((5, STANDS), (10, STANDS), (10.1, 0), (-1, 0)):
        assert chosen([glimpse(at, seen(SCENE))], reference, AGE) == (expected,)
    frames = [glimpse(n, seen(each)) for n, each in enumerate((SCENE, OTHER, OTHER, SCENE))]
    assert chosen(frames, reference, AGE) == (STANDS, 1, 1, 3)


def test_the_same_content_needs_no_encoder_however_old_the_reference_is() -> None:
    reference = Reference(glimpse(0, seen(SCENE), "same"), 0, 0, 1)
    assert chosen([glimpse(900, seen(SCENE), "same")], reference, AGE) == (STANDS,)


def after(reference: Reference | None, *frames: Glimpse) -> Reference | None:
    return following(reference, frames, chosen(frames, reference, AGE), 7)


def test_what_stood_for_something_is_kept_as_it_is_until_there_is_another_one() -> None:
    first = after(None, glimpse(0, seen(SCENE)))
    assert first is not None and first.unused == 1
    used = after(first, glimpse(1, seen(SCENE)))
    assert used is not None and used.unused == 0 and used.frame is first.frame
    assert after(used, glimpse(2, seen(SCENE))) is used
    renewed = after(used, glimpse(11, seen(SCENE)))
    assert renewed is not None and renewed.since == seconds(11)


def test_frames_that_are_older_leave_it_alone_and_no_frames_do_too() -> None:
    reference = Reference(glimpse(5, seen(SCENE)), seconds(5), 0, 1)
    assert after(reference, glimpse(4, seen(OTHER))) is reference
    assert after(reference) is reference


def test_a_busy_source_has_one_less_and_less_often() -> None:
    """Each Moment shows something else: references are set after pauses of up to a minute."""
    reference: Reference | None = None
    set_at: list[int] = []
    for second in range(300):
        picture = seen(OTHER if second % 2 else SCENE)
        reference = after(reference, glimpse(second, picture))
        assert reference is not None
        if reference.frame is not None and reference.since == seconds(second):
            set_at.append(second)
    assert set_at[:6] == [0, 1, 4, 9, 18, 35]
    assert max(later - one for one, later in pairwise(set_at)) == 65
