"""Masked areas: nothing that happens there counts, and another mask is another picture."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.runtime.builders import config, encoders, event
from tests.runtime.test_shard import Desk
from tests.scoring.moments import TEXT_DIM, Features, normal
from worker.config import Config
from worker.core.masks import Area, Masks
from worker.core.rfc3339 import seconds
from worker.core.source_patterns import SourcePatterns
from worker.errors import OperatorError
from worker.media.masking import masked
from worker.runtime.assemble import build_pipeline
from worker.scoring.scored import Scored, ScoringRules
from worker.scoring.scorer import Scorer
from worker.stages import Prepared

UPPER_LEFT = {"left": 0, "top": 0, "right": 0.5, "bottom": 0.25}
RULES = ScoringRules(20, seed=0, alpha=1e-4, text_dim=TEXT_DIM)


def pixels(seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 255, (96, 128, 3), np.uint8)


def settings(*areas: object) -> Config:
    return config(scoring__sources=[{"match": "/cameras/*", "masked": list(areas)}])


def prepared(image: NDArray[np.uint8], using: Config) -> Prepared:
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG")
    desk = Desk()
    desk.read([event("frame", 0, payload=out.getvalue())], appended=9)
    return build_pipeline(using, encoders()).prepare(desk.moments()[0])


def changed() -> NDArray[np.uint8]:
    """Return the picture with something else in its upper left."""
    image = pixels()
    image[:24, :64] = pixels(1)[:24, :64]
    return image


def test_what_happens_in_a_masked_area_changes_no_feature_and_nothing_that_is_encoded() -> None:
    here = settings(UPPER_LEFT)
    one, other = prepared(pixels(), here), prepared(changed(), here)
    for name, value in one.features.items():
        assert np.array_equal(value, other.features[name]), name
    (before,), (after,) = one.items.values(), other.items.values()
    assert np.array_equal(before[0].content, after[0].content)


def test_without_the_mask_it_does_and_what_is_masked_is_on_record() -> None:
    plain, other = prepared(pixels(), settings()), prepared(changed(), settings())
    assert not np.array_equal(plain.features["luminance"], other.features["luminance"])
    assert "masked" not in plain.features
    assert prepared(pixels(), settings(UPPER_LEFT)).features["masked"].tolist() == [
        [0, 0, 0.5, 0.25]
    ]


def test_a_vector_of_the_whole_picture_is_not_taken_for_the_masked_one_s() -> None:
    (whole,) = prepared(pixels(), settings()).items.values()
    (part,) = prepared(pixels(), settings(UPPER_LEFT)).items.values()
    assert whole[0].key != part[0].key


def test_a_masked_area_has_the_mean_colour_of_the_rest() -> None:
    image = np.full((10, 10, 3), 40, np.uint8)
    image[:5] = 200
    assert (masked(image, [Area(0, 0, 1, 0.5)]) == 40).all()
    assert (masked(image, [Area(0, 0, 1, 0.5), Area(0, 0.5, 1, 1)]) == 0).all()
    assert image[0, 0, 0] == 200


def test_the_first_pattern_that_matches_a_source_holds() -> None:
    area = Area(0, 0, 1, 0.2)
    masks = Masks([(SourcePatterns(("/gate",)), ()), (SourcePatterns(("/gate*",)), (area,))])
    assert (masks.of("/gate"), masks.of("/gate-2"), masks.of("/yard")) == ((), (area,), ())


@pytest.mark.parametrize(
    "area",
    [{}, {"left": 0.5, "right": 0.5}, {"top": -0.1, "bottom": 1}, {"top": 0.9, "bottom": 0.1}],
)
def test_an_area_is_a_part_of_the_picture(area: dict[str, float]) -> None:
    with pytest.raises(OperatorError):
        settings(area)


def judged(scorer: Scorer, number: int, features: Features) -> Scored:
    scored = scorer.score("/a", features, seconds(number), carried=False)
    scorer.learn("/a", features, seconds(number), scored, carried=False)
    return scored


def test_a_source_is_learned_anew_when_another_part_is_masked_and_only_then() -> None:
    scorer = Scorer(RULES)
    mask = {"masked": np.array([[0, 0, 0.5, 0.25]], np.float16)}
    for number in range(80):
        last = judged(scorer, number, normal(number) | mask)
    assert not last.assessment.warming_up
    sound = {"audio_windows": normal(80)["audio_windows"]}
    assert not judged(scorer, 80, sound).assessment.warming_up
    learned = scorer.learned_from("/a")
    assert learned is not None and learned.first == 1
    again = Scorer(RULES)
    for number in range(80, 100):
        bare = judged(scorer, number + 1, normal(number))
        assert (
            bare.assessment.warming_up
            == judged(again, number + 1, normal(number)).assessment.warming_up
        )
    learned = scorer.learned_from("/a")
    assert learned is not None and learned.first == 82
