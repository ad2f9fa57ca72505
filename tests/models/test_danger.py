"""How much a caption sounds like danger."""

from __future__ import annotations

import numpy as np
import pytest

from worker.core.events import Modality
from worker.models import registry
from worker.models.danger import DANGEROUS, ORDINARY, DangerScale
from worker.models.settings import ModelSettings


@pytest.fixture(scope="module")
def margins() -> dict[str, float]:
    encoder = registry.build("minilm", Modality.CAPTION, ModelSettings(batch_size=1, threads=1))
    scale = DangerScale(encoder)
    texts = (
        *("Flames shoot out of a parked van.", "A man threatens another one with a knife."),
        *("A woman walks her dog along the path.", "Nobody is on the square."),
    )
    return {text: float(scale.margin(encoder.encode([text])[0])[0]) for text in texts}


def test_dangerous_captions_are_nearer_to_danger_than_ordinary_ones(
    margins: dict[str, float],
) -> None:
    *dangerous, first, second = margins.values()
    assert min(dangerous) > 0 > max(first, second)
    assert np.isfinite(list(margins.values())).all()


def test_no_sentence_stands_for_both() -> None:
    assert not set(DANGEROUS) & set(ORDINARY)
