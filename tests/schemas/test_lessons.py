"""What a recovering worker reads of an Observation."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.schemas.files import load_example
from worker.core.messages import read_lesson, read_number, read_observation


def value(**changes: object) -> bytes:
    return json.dumps({**load_example("observation.full"), "number": 7, **changes}).encode()


def test_a_lesson_says_what_the_whole_observation_says() -> None:
    lesson, whole = read_lesson(value(), lambda *_: True), read_observation(value())
    assert lesson is not None
    assert (lesson.source, lesson.number) == (whole.source, whole.number)
    assert lesson.window_start == whole.window_start
    assert lesson.assessment == whole.assessment
    assert lesson.raw_scores == whole.raw_scores
    assert lesson.observation_id == whole.observation_id
    assert lesson.alert_id == whole.decision.alert_id is not None
    assert lesson.heeded == whole.heeded != ()
    assert lesson.carried == bool(whole.modalities.carried)
    assert lesson.shadow is not None
    assert whole.shadow is not None
    assert lesson.shadow.document() == whole.shadow.document()["bundle"]
    assert lesson.features.keys() == whole.features.keys()
    for name, feature in whole.features.items():
        assert np.array_equal(lesson.features[name], feature)


def test_what_is_not_wanted_is_not_looked_at() -> None:
    assert read_lesson(value(features="broken"), lambda _, number: number > 7) is None
    with pytest.raises(ValueError, match="features"):
        read_lesson(value(features="broken"), lambda _, number: number == 7)


def test_an_amendment_is_no_lesson() -> None:
    assert read_lesson(value(amends="another"), lambda *_: True) is None


def test_the_number_alone_can_be_read_and_is_0_in_what_older_versions_wrote() -> None:
    assert read_number(value()) == 7
    assert read_number(value(number=None)) == 0
