"""Weights from disk: what the encoders compute with them, and which are refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from transformers.models.siglip2.image_processing_pil_siglip2 import convert_image_to_patches

from tests.models.tiny import tokenizer, transformers_model, write_transformers
from worker.core.events import Modality
from worker.errors import OperatorError
from worker.models.base import Encoder
from worker.models.families.from_torchvision import headless
from worker.models.families.pooling import POOLS, first, last, mean
from worker.models.registry import build
from worker.models.runtimes import Network
from worker.models.samples import typical_frames
from worker.models.settings import ModelSettings
from worker.models.tuning import min_cosine, open_network

TEXT = "A man walks his dog across the lawn."
MEAN, STD = [0.48, 0.46, 0.41], [0.27, 0.26, 0.28]

Build = Callable[..., Encoder]


@pytest.fixture
def built(model_settings: ModelSettings) -> Build:
    def make(name: str, modality: Modality, pinned: str = "", **changes: Any) -> Encoder:
        return build(name, modality, replace(model_settings, **changes), pinned)

    return make


def cosine(encoder: Encoder, batch: Any, expected: torch.Tensor) -> float:
    rows = encoder.encode(batch).astype(np.float32)
    return min_cosine(rows, expected.detach().numpy())


def pixels(frames: NDArray[np.uint8]) -> torch.Tensor:
    scaled = (frames / 255 - np.array(MEAN)) / np.array(STD)
    return torch.from_numpy(scaled.transpose(0, 3, 1, 2)).float()


def ids(text: str) -> torch.Tensor:
    return torch.tensor([tokenizer(padded=True)(text)["input_ids"]])


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_frames_are_where_the_library_puts_them(kind: str, tmp_path: Path, built: Build) -> None:
    frames = typical_frames(3, 32)
    features = transformers_model(kind).get_image_features(pixel_values=pixels(frames))
    encoder = built(write_transformers(kind, tmp_path), Modality.FRAME)
    assert cosine(encoder, frames, features.pooler_output) > 0.9999


def test_siglip2_frames_are_where_the_library_puts_them(tmp_path: Path, built: Build) -> None:
    frames = typical_frames(3, 32)
    patches = np.stack([convert_image_to_patches(image.numpy(), 8) for image in pixels(frames)])
    features = transformers_model("siglip2").get_image_features(
        pixel_values=torch.from_numpy(patches),
        pixel_attention_mask=torch.ones(3, 16, dtype=torch.int64),
        spatial_shapes=torch.full((3, 2), 4),
    )
    encoder = built(write_transformers("siglip2", tmp_path), Modality.FRAME)
    assert cosine(encoder, frames, features.pooler_output) > 0.9999


@pytest.mark.parametrize("kind", ["clip", "siglip", "clap"])
def test_captions_are_in_the_shared_space(kind: str, tmp_path: Path, built: Build) -> None:
    tokens = ids(TEXT)
    if kind == "siglip":  # trained with its texts padded to the full length
        tokens = torch.nn.functional.pad(tokens, (0, 40 - tokens.shape[1]))
    features = transformers_model(kind).get_text_features(input_ids=tokens)
    encoder = built(write_transformers(kind, tmp_path), Modality.CAPTION)
    assert cosine(encoder, [TEXT], features.pooler_output) > 0.9999


@pytest.mark.parametrize(
    ("kind", "pooling", "place"),
    [
        ("bert", "first", slice(0, 1)),
        ("gpt2", "last", slice(-1, None)),
        ("gpt2", "mean", slice(0, None)),
    ],
)
def test_text_models_are_pooled_as_asked(
    kind: str, pooling: str, place: slice, tmp_path: Path, built: Build
) -> None:
    hidden = transformers_model(kind)(input_ids=ids(TEXT)).last_hidden_state
    encoder = built(write_transformers(kind, tmp_path), Modality.CAPTION, pooling=pooling)
    assert cosine(encoder, [TEXT], hidden[:, place].mean(1)) > 0.9999


def test_clips_are_where_the_library_puts_them(tmp_path: Path, built: Build) -> None:
    clip = np.random.default_rng(0).standard_normal(8_000).astype(np.float32) * 0.1
    normal = (clip - clip.mean()) / np.sqrt(clip.var() + 1e-7)
    hidden = transformers_model("wav2vec2")(torch.from_numpy(normal[None])).last_hidden_state
    encoder = built(write_transformers("wav2vec2", tmp_path), Modality.AUDIO)
    assert cosine(encoder, [clip], hidden.mean(1)) > 0.9999


@pytest.mark.parametrize("kind", ["bert", "gpt2", "embedding_gemma2", "clip", "clap"])
def test_padding_has_no_influence(kind: str, tmp_path: Path, built: Build) -> None:
    encoder: Any = built(write_transformers(kind, tmp_path), Modality.CAPTION)
    tokens, mask = encoder._tokenize([TEXT, "smoke"])
    assert mask[1].sum() < mask.shape[1]
    padded = encoder._run(tokens, mask)[1]
    alone = encoder._run(*encoder._tokenize(["smoke"]))[0]
    assert np.abs(padded - alone).max() < 1e-4


@pytest.mark.parametrize("name", POOLS)
def test_pooling_looks_at_no_padding(name: str) -> None:
    hidden = torch.arange(24.0).reshape(2, 4, 3)
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]])
    dirty = hidden.clone()
    dirty[0, 2:] = 1e6
    assert torch.equal(POOLS[name](hidden, mask), POOLS[name](dirty, mask))
    assert torch.equal(last(hidden, mask)[0], hidden[0, 1])
    assert torch.equal(mean(hidden, mask)[0], hidden[0, :2].mean(0))
    assert torch.equal(first(hidden, mask), hidden[:, 0])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_dtype_that_was_asked_for_is_near_and_has_its_own_digest(
    dtype: str, tmp_path: Path, built: Build
) -> None:
    name = write_transformers("clip", tmp_path)
    exact, rough = (built(name, Modality.FRAME, dtype=each) for each in ("float32", dtype))
    frames = typical_frames(2, 32)
    rows = [encoder.encode(frames).astype(np.float32) for encoder in (exact, rough)]
    assert min_cosine(*rows) > 0.99
    assert exact.digest != rough.digest


@pytest.mark.parametrize("runtime", ["openvino", "int8"])
def test_every_runtime_is_near_torch(runtime: str, tmp_path: Path, built: Build) -> None:
    name = write_transformers("bert", tmp_path)
    exact, other = (built(name, Modality.CAPTION, runtime=each) for each in ("torch", runtime))
    rows = [encoder.encode([TEXT, "smoke"]).astype(np.float32) for encoder in (exact, other)]
    assert min_cosine(*rows) > 0.99
    assert (exact.digest == other.digest) is (runtime != "int8")


def test_pictures_in_int8_have_the_same_bytes_whatever_they_are_encoded_with(
    tmp_path: Path, built: Build
) -> None:
    encoder = built(write_transformers("clip", tmp_path), Modality.FRAME, runtime="int8")
    frames = typical_frames(6, encoder.input_size)
    frames[4:] = 0  # far from the others
    alone = [encoder.encode(frame[None]) for frame in frames]
    assert encoder.encode(frames).tobytes() == b"".join(each.tobytes() for each in alone)


def test_digests_follow_files_and_pooling_but_not_the_place(tmp_path: Path, built: Build) -> None:
    name = write_transformers("bert", tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    moved = f"transformers:{tmp_path / 'two'}"
    encoder = built(name, Modality.CAPTION)
    assert built(moved, Modality.CAPTION, encoder.digest).digest == encoder.digest
    assert built(name, Modality.CAPTION, pooling="first").digest != encoder.digest
    path = tmp_path / "two" / "model.safetensors"
    state = load_file(path)
    state["embeddings.word_embeddings.weight"][7, 3] += 0.5
    save_file(state, path)
    with pytest.raises(OperatorError, match=r"models\.caption_digest is .* were pinned"):
        built(moved, Modality.CAPTION, encoder.digest)


def spoil_missing(directory: Path) -> None:
    shutil.rmtree(directory)


def spoil_pickle(directory: Path) -> None:
    (directory / "model.safetensors").unlink()
    (directory / "pytorch_model.bin").write_bytes(b"\x80\x04")


def spoil_none(directory: Path) -> None:
    (directory / "model.safetensors").unlink()


def spoil_cut(directory: Path) -> None:
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def spoil_tensor(directory: Path) -> None:
    path = directory / "model.safetensors"
    state = load_file(path)
    del state["encoder.layer.1.output.dense.weight"]
    save_file(state, path)


def spoil_shape(directory: Path) -> None:
    path = directory / "model.safetensors"
    state = load_file(path)
    state["embeddings.word_embeddings.weight"] = torch.zeros(300, 16)
    save_file(state, path)


def spoil_shard(directory: Path) -> None:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))


def spoil_escape(directory: Path) -> None:
    index = {"weight_map": {"a": "../elsewhere.safetensors"}}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))


def spoil_kind(directory: Path) -> None:
    (directory / "config.json").write_text('{"model_type": "resnet9000"}')


def spoil_code(directory: Path) -> None:
    content = {"model_type": "own", "auto_map": {"AutoConfig": "evil.Config"}}
    (directory / "config.json").write_text(json.dumps(content))
    (directory / "evil.py").write_text("raise SystemExit('ran')")


def spoil_json(directory: Path) -> None:
    (directory / "config.json").write_text("{")


def spoil_quantized(directory: Path) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"quantization_config": {}}))


def spoil_vocabulary(directory: Path) -> None:
    larger = tokenizer(padded=True)
    larger.add_tokens([f"word{number}" for number in range(60)])
    larger.save_pretrained(directory)


def spoil_tokenizer(directory: Path) -> None:
    for path in directory.glob("tokenizer*"):
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (spoil_missing, "is not a directory"),
        (spoil_pickle, r"only as pytorch_model\.bin"),
        (spoil_none, r"has no model\.safetensors"),
        (spoil_cut, "not a complete safetensors file"),
        (spoil_tensor, r"lack tensors of the model: encoder\.layer\.1\.output\.dense\.weight"),
        (spoil_shape, "of another shape"),
        (spoil_shard, "model-00001-of-00002"),
        (spoil_escape, "files beside it"),
        (spoil_kind, "architecture that transformers"),
        (spoil_code, "architecture that transformers"),
        (spoil_json, "must be JSON"),
        (spoil_quantized, "quantized weights"),
        (spoil_tokenizer, "has no tokenizer"),
        (spoil_vocabulary, r"its tokenizer has [0-9]+ tokens, its model 300"),
    ],
)
def test_a_bad_directory_is_refused_in_one_sentence(
    spoil: Callable[[Path], None], sentence: str, tmp_path: Path, built: Build
) -> None:
    name = write_transformers("bert", tmp_path / "model")
    spoil(tmp_path / "model")
    with pytest.raises(OperatorError, match=sentence) as caught:
        built(name, Modality.CAPTION)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "modality", "changes", "sentence"),
    [
        ("bert", Modality.FRAME, {}, r"type bert, which is none for models\.frame"),
        ("ast", Modality.CAPTION, {}, r"none for models\.caption"),
        ("clip", Modality.AUDIO, {}, r"none for models\.audio"),
        ("clip", Modality.CAPTION, {"pooling": "last"}, "pooling of its own"),
        ("embedding_gemma2", Modality.CAPTION, {"dtype": "float16"}, "overflows float16"),
    ],
)
def test_a_model_that_does_not_suit_is_refused(
    kind: str,
    modality: Modality,
    changes: dict[str, Any],
    sentence: str,
    tmp_path: Path,
    built: Build,
) -> None:
    with pytest.raises(OperatorError, match=sentence):
        built(write_transformers(kind, tmp_path), modality, **changes)


def test_frames_without_the_statistics_of_pixels_are_refused(tmp_path: Path, built: Build) -> None:
    name = write_transformers("clip", tmp_path)
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(OperatorError, match="three numbers image_mean"):
        built(name, Modality.FRAME)


@pytest.mark.parametrize(
    ("name", "modality", "sentence"),
    [
        ("torchvision:resnet9:/w.safetensors", Modality.FRAME, "did you mean resnet"),
        ("torchvision:resnet18:/no/w.safetensors", Modality.FRAME, "must be a readable file"),
        ("torchvision:resnet18:/no/w.pth", Modality.FRAME, "from .safetensors files only"),
        ("torchvision:resnet18", Modality.FRAME, "the form torchvision:MODEL:FILE"),
        ("torchvision:resnet18:/w.safetensors", Modality.AUDIO, r"models\.audio is"),
        ("torchaudio:hubert:/w.safetensors", Modality.AUDIO, "it has wav2vec2_base"),
        ("transformers:", Modality.CAPTION, "the form transformers:DIRECTORY"),
        ("transformers:org/name", Modality.CAPTION, r"models\.allow_hub"),
    ],
)
def test_a_name_that_leads_nowhere_is_answered_in_one_sentence(
    name: str, modality: Modality, sentence: str, built: Build
) -> None:
    with pytest.raises(OperatorError, match=sentence):
        built(name, modality)


def test_a_hub_that_is_allowed_but_not_there_is_told(
    built: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(OperatorError, match="the hub did not give org/name"):
        built("transformers:org/name", Modality.CAPTION, allow_hub=True)


@pytest.mark.parametrize(
    ("model", "side", "width"),
    [
        ("vgg11", 64, 4096),
        ("squeezenet1_1", 64, 512),
        ("googlenet", 64, 1024),
        ("vit_b_32", 224, 768),
    ],
)
def test_the_last_layer_of_a_classifier_is_left_out(model: str, side: int, width: int) -> None:
    with torch.device("meta"):
        network, _ = headless(model)
        features = network.eval()(torch.zeros(2, 3, side, side))
    assert features.shape == (2, width)


OWN = """
from worker.core.events import Modality
from worker.models.logmel import LogMelEncoder

class Ours(LogMelEncoder):
    name = "ours"

def make(settings):
    return Ours()

def broken(settings):
    raise ZeroDivisionError("no luck")
"""


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ours_module.py").write_text(OWN)
    info = tmp_path / "ours-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ours\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[multimodal_worker.encoders]\nours = ours_module:make\nbroken = ours_module:broken\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("distribution")
def test_a_distribution_may_bring_an_encoder(built: Build) -> None:
    assert built("ours", Modality.AUDIO).name == "ours"
    with pytest.raises(OperatorError, match=r"models\.frame is 'ours'"):
        built("ours", Modality.FRAME)
    with pytest.raises(OperatorError, match=r"broken \(ours_module:broken\) failed.*no luck"):
        built("broken", Modality.AUDIO)
    with pytest.raises(OperatorError, match="broken, ours"):
        built("theirs", Modality.AUDIO)


@pytest.mark.parametrize(
    ("kind", "modality"),
    [("clip", Modality.FRAME), ("siglip2", Modality.FRAME), ("wav2vec2", Modality.AUDIO)],
)
def test_a_network_moves_to_another_device_whole(
    kind: str, modality: Modality, tmp_path: Path, built: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device `meta` computes shapes only, but refuses whatever was left on the CPU."""
    opened: list[Network] = []

    def spy(network: Network, *rest: Any) -> Any:
        opened.append(network)
        return open_network(network, *rest)

    monkeypatch.setattr("worker.models.network_encoders.open_network", spy)
    encoder = built(write_transformers(kind, tmp_path), modality)
    inputs = [torch.from_numpy(array[:2]).to("meta") for array in opened[0].sample]
    assert opened[0].module.to("meta")(*inputs).shape == (2, encoder.dim)
