"""Tuning of caption encoders: texts come nearer to what was seen with them, all else stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.models.tiny import write_transformers
from tests.training.builders import rows
from worker.core.events import Modality
from worker.errors import OperatorError
from worker.models import registry
from worker.models.minilm import as_directory
from worker.models.settings import ModelSettings
from worker.models.shipped import MiniLMEncoder
from worker.training.captions import Tuned, Tuner, Tuning
from worker.training.dataset import Row, assemble
from worker.training.settings import FitSettings

SETTINGS = ModelSettings("cpu", "float32", "torch", batch_size=4, threads=1)
WORDS = ("fire", "water", "earth", "air")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("bert")
    write_transformers("bert", place)
    return place


def spoken(found: list[Row]) -> list[str | None]:
    """Name the strongest number of the picture's first four; a fifth says nothing."""
    told: list[str | None] = []
    for place, row in enumerate(found):
        picture = row.inputs.get("frame_embedding")
        if picture is None or place % 5 == 4:
            told.append(None)
        else:
            told.append(f"there is {WORDS[int(np.argmax(picture[:4]))]}")
    return told


def tuned(directory: Path, tuning: Tuning, epochs: int = 4) -> Tuned:
    found = rows(40)
    return Tuner(directory, assemble(found), spoken(found), SETTINGS).tune(
        tuning, epochs, FitSettings()
    )


def vectors(place: Path) -> np.ndarray:
    encoder = registry.build(f"transformers:{place}", Modality.CAPTION, SETTINGS)
    return encoder.encode(list(WORDS)).astype(np.float32)


def written(done: Tuned, place: Path) -> Path:
    place.mkdir()
    for name, data in done.files.items():
        (place / name).write_bytes(data)
    return place


@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_a_tuned_model_is_a_directory_that_loads_like_any_other(
    directory: Path, tmp_path: Path, tuning: Tuning
) -> None:
    done = tuned(directory, tuning)
    assert min(done.losses) < done.losses[0]
    before, after = vectors(directory), vectors(written(done, tmp_path / "tuned"))
    assert before.shape == after.shape
    assert not np.array_equal(before, after)
    assert np.array_equal(vectors(directory), before)  # what was tuned stays as it was


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_a_model_that_has_read_the_captions_knows_them_better(tmp_path: Path, kind: str) -> None:
    write_transformers(kind, tmp_path)
    found = rows(40)
    tuner = Tuner(tmp_path, assemble(found), spoken(found), SETTINGS)
    losses = tuner.pretrain(6, replace(FitSettings(), accumulate=2))
    assert len(losses) == 7
    assert losses[-1] < losses[0]
    read = vectors(written(tuner.tune("head", 1, FitSettings()), tmp_path / "read"))
    assert not np.array_equal(read, vectors(tmp_path))


def test_updates_move_fewer_numbers_than_all(directory: Path) -> None:
    few, all_of_them = (tuned(directory, each, epochs=1).parameters for each in ("lora", "full"))
    assert 0 < few < all_of_them / 3


def test_tuning_again_gives_the_same_bytes(directory: Path) -> None:
    assert tuned(directory, "lora", 2).files == tuned(directory, "lora", 2).files


def test_a_model_that_shares_its_space_with_pictures_is_not_tuned(tmp_path: Path) -> None:
    write_transformers("clip", tmp_path)
    with pytest.raises(OperatorError, match="which is none for models"):
        tuned(tmp_path, "lora")


def test_the_shipped_encoder_is_the_same_as_a_directory(tmp_path: Path) -> None:
    for name, data in as_directory().items():
        (tmp_path / name).write_bytes(data)
    texts = ["A van stops.", "Two people walk past the fountain, and nobody looks up."]
    shipped = MiniLMEncoder(SETTINGS).encode(texts).astype(np.float32)
    loaded = registry.build(f"transformers:{tmp_path}", Modality.CAPTION, SETTINGS)
    same = loaded.encode(texts).astype(np.float32)
    assert np.allclose(shipped, same, atol=2e-3)
