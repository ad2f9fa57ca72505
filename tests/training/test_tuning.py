"""Tuning of encoders: what they make of a Moment comes nearer to what others do; all else stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load

from tests.models.tiny import (
    small_wav2vec2,
    write_torchaudio,
    write_torchvision,
    write_transformers,
)
from tests.training.builders import labels, rows
from worker.core.events import Modality
from worker.errors import OperatorError
from worker.models import registry
from worker.models.minilm import as_directory
from worker.models.names import TUNED_WEIGHTS, tuned
from worker.models.settings import ModelSettings
from worker.models.shipped import MiniLMEncoder
from worker.models.trainable import open_trainable
from worker.training import tuning
from worker.training.checkpoint import StateFile
from worker.training.dataset import Dataset, Row, assemble
from worker.training.pretraining import read_captions
from worker.training.settings import FitSettings, Tuning, TuningSettings, tuning_settings
from worker.training.shelf import fill, open_shelf
from worker.training.tuning import Tuned, Tuner

SETTINGS = ModelSettings("cpu", "float32", "torch", batch_size=4, threads=1)
WORDS = ("fire", "water", "earth", "air")


@dataclass(frozen=True)
class Case:
    """A tiny encoder; `every`: of so many Moments one is learned from."""

    kind: str
    modality: Modality
    write: Callable[[str, Path], str] = write_transformers
    every: int = 1

    @property
    def id(self) -> str:
        return f"{self.kind}-{self.modality}"


BERT = Case("bert", Modality.CAPTION)
CLIP = Case("clip", Modality.FRAME)
CASES = [
    BERT,
    Case("gpt2", Modality.CAPTION),
    Case("siglip", Modality.CAPTION),
    CLIP,
    Case("siglip2", Modality.FRAME),
    Case("shufflenet_v2_x0_5", Modality.FRAME, write_torchvision, 7),
    Case("efficientnet_lite0", Modality.FRAME, lambda kind, _: kind, 9),
    Case("ast", Modality.AUDIO),
    Case("hubert", Modality.AUDIO),
    Case("wav2vec2_base", Modality.AUDIO, write_torchaudio),
]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchaudio.models.wav2vec2_base", small_wav2vec2)


def state(row: Row) -> int | None:
    """Return which of four a Moment is, as two of its modalities see it."""
    picture = row.inputs.get("frame_embedding")
    return int(np.argmax(picture[:4])) if picture is not None and "text" in row.inputs else None


def content(modality: Modality, number: int, side: int) -> Any:
    """Return a text, a picture with a bright quarter, or a tone, for one of four."""
    if modality is Modality.CAPTION:
        return f"there is {WORDS[number]}"
    if modality is Modality.AUDIO:
        return np.sin(np.arange(1_600) * 0.05 * (number + 1)).astype(np.float32)
    picture = np.full((side, side, 3), 40, np.uint8)
    half = side // 2
    picture[half * (number // 2) :, half * (number % 2) :][:half, :half] = 230
    return picture


def tuner(case: Case, directory: Path, data: Dataset, found: list[Row]) -> Tuner:
    name = case.write(case.kind, directory)
    network = open_trainable(name, case.modality, SETTINGS)
    told = {place: state(row) for place, row in enumerate(found) if place % case.every == 0}
    contents = {
        place: content(case.modality, number, network.input_size)
        for place, number in told.items()
        if number is not None
    }
    return Tuner(network, case.modality, data, contents)


def tune(case: Case, directory: Path, way: Tuning = "lora", epochs: int = 2, **more: Any) -> Tuned:
    torch.set_num_threads(1)
    directory.mkdir(exist_ok=True)
    found = rows(more.pop("moments", 16), 2)
    wish = TuningSettings(way, (case.modality,), pruned=more.pop("pruned", 0.0))
    told = labels(found) if more.pop("labelled", False) else None
    one = tuner(case, directory, assemble(found, told), found)
    return one.tune(wish, epochs, more.pop("settings", FitSettings()), **more)


def written(files: Mapping[str, bytes], place: Path) -> Path:
    place.mkdir()
    for name, data in files.items():
        (place / name).write_bytes(data)
    return place


def vectors(name: str, modality: Modality) -> np.ndarray:
    encoder = registry.build(name, modality, SETTINGS)
    batch: Any = [content(modality, number, encoder.input_size) for number in range(4)]
    batch = np.stack(batch) if modality is Modality.FRAME else batch
    return encoder.encode(batch).astype(np.float32)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_tuned_encoder_loads_like_any_other(case: Case, tmp_path: Path) -> None:
    done = tune(case, tmp_path / "base", epochs=1)
    name = case.write(case.kind, tmp_path / "base")
    after = vectors(tuned(name, written(done.files, tmp_path / "tuned")), case.modality)
    before = vectors(name, case.modality)
    assert before.shape == after.shape
    assert not np.array_equal(before, after)
    assert done.parameters > 0
    assert np.isfinite(done.losses).all()


@pytest.mark.parametrize("case", [BERT, CLIP], ids=lambda case: case.id)
def test_all_weights_can_be_moved_and_the_loss_falls(case: Case, tmp_path: Path) -> None:
    done = tune(case, tmp_path, "full", 4, moments=50)
    assert min(done.losses) < done.losses[0]
    few = tune(case, tmp_path, "lora", 1).parameters
    assert 0 < few < done.parameters / 2


def test_labels_are_learned_from_too(tmp_path: Path) -> None:
    plain, labelled = (tune(CLIP, tmp_path, labelled=each) for each in (False, True))
    assert labelled.losses[0] > plain.losses[0]  # one term more
    assert plain.files != labelled.files


def test_tuning_again_gives_the_same_bytes(tmp_path: Path) -> None:
    assert tune(CLIP, tmp_path).files == tune(CLIP, tmp_path).files


class KilledError(Exception):
    """The end of a run, in the midst of it."""


def test_tuning_that_was_ended_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    whole = tune(CLIP, tmp_path, epochs=4)

    def end(epochs: int) -> None:
        if epochs == 2:
            raise KilledError

    kept = StateFile(tmp_path / "frame.pt", "key")
    with pytest.raises(KilledError):
        tune(CLIP, tmp_path, epochs=4, kept=kept, progress=end)
    reached: list[int] = []
    again = tune(CLIP, tmp_path, epochs=4, kept=kept, progress=reached.append)
    assert reached == [3, 4]
    assert again == whole
    with pytest.raises(OperatorError, match="other data or settings"):
        tune(CLIP, tmp_path, kept=StateFile(tmp_path / "frame.pt", "another"))


def test_chunks_make_no_difference_but_to_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_chunks = tune(CLIP, tmp_path, "full", 1)
    monkeypatch.setitem(tuning.CHUNK, Modality.FRAME, 1000)
    at_once = tune(CLIP, tmp_path, "full", 1)
    assert in_chunks.losses == pytest.approx(at_once.losses, rel=1e-3)


def test_pruned_weights_stay_zero_while_the_others_move(tmp_path: Path) -> None:
    done = tune(BERT, tmp_path, "full", 2, pruned=0.5)
    before = load((tmp_path / TUNED_WEIGHTS).read_bytes())
    after = load(done.files[TUNED_WEIGHTS])
    layers = [name for name in after if name.endswith("dense.weight") and "pooler" not in name]
    zeros = torch.cat([(after[name] == 0).flatten() for name in layers])
    assert 0.45 < float(zeros.float().mean()) < 0.55
    assert any(not torch.equal(after[name], before[name] * (after[name] != 0)) for name in layers)
    assert done.zeros == 0.5


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_a_model_that_has_read_the_captions_knows_them_better(tmp_path: Path, kind: str) -> None:
    base = write_transformers(kind, tmp_path / "base")
    found = rows(40)
    told = {place: state(row) for place, row in enumerate(found)}
    texts = {place: f"there is {WORDS[one]}" for place, one in told.items() if one is not None}
    held_out, settings = assemble(found).held_out, replace(FitSettings(), accumulate=2)
    files, losses = read_captions(tmp_path / "base", texts, held_out, 6, settings, SETTINGS)
    assert len(losses) == 7
    assert losses[-1] < losses[0]
    read = vectors(f"transformers:{written(files, tmp_path / 'read')}", Modality.CAPTION)
    assert not np.array_equal(read, vectors(base, Modality.CAPTION))


@pytest.mark.parametrize(
    ("name", "modality"),
    [("logmel", Modality.AUDIO), ("my_own", Modality.FRAME), ("torchvision:x:/y", Modality.AUDIO)],
)
def test_an_encoder_without_a_known_network_is_not_tuned(name: str, modality: Modality) -> None:
    with pytest.raises(OperatorError, match=f"no network that can be trained: leave {modality}"):
        open_trainable(name, modality, SETTINGS)


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        (("lora", "frame,smell"), "name frame, caption, audio"),
        (("head", "frame"), "give that too"),
        (("lora", "frame", 0, 0.3), "needs --tuning full"),
    ],
)
def test_wishes_that_mean_nothing_are_refused(wish: tuple[Any, ...], told: str) -> None:
    with pytest.raises(OperatorError, match=told):
        tuning_settings(*wish)


def test_without_names_the_caption_encoder_is_meant() -> None:
    assert tuning_settings("full", None).changes == (Modality.CAPTION,)
    assert tuning_settings("head", None).changes == ()
    both = tuning_settings("lora", "audio, frame", pretraining=2)
    assert both.modalities == (Modality.FRAME, Modality.AUDIO)
    assert both.changes == tuple(Modality)


def test_a_shelf_gives_back_what_was_written_under_its_key(tmp_path: Path) -> None:
    path, picture = tmp_path / "frame.media", np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert open_shelf(path, "a") is None
    fill(path, "a", [(7, picture), (3, "a text, ünicode")])
    shelf = open_shelf(path, "a")
    assert shelf is not None
    assert sorted(shelf) == [3, 7]
    assert np.array_equal(shelf[7], picture)
    assert str(shelf[3]) == "a text, ünicode"
    assert open_shelf(path, "b") is None


def test_the_shipped_encoder_is_the_same_as_a_directory(tmp_path: Path) -> None:
    for name, data in as_directory().items():
        (tmp_path / name).write_bytes(data)
    texts = ["A van stops.", "Two people walk past the fountain, and nobody looks up."]
    shipped = MiniLMEncoder(SETTINGS).encode(texts).astype(np.float32)
    loaded = registry.build(f"transformers:{tmp_path}", Modality.CAPTION, SETTINGS)
    same = loaded.encode(texts).astype(np.float32)
    assert np.allclose(shipped, same, atol=2e-3)
