"""A network in int8: made once by pictures, read by every worker, and only by those it is of."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from worker.cli.options import config_of
from worker.core.events import Modality
from worker.errors import OperatorError
from worker.models.int8 import quantise, read_int8, write_int8
from worker.models.network_encoders import FrameEncoder, Identity
from worker.models.settings import ModelSettings
from worker.runtime.assemble import model_settings

SIDE = 16
PICTURES = np.random.default_rng(0).integers(0, 256, (40, SIDE, SIDE, 3), np.uint8)
IDENTITY = Identity("tiny", "digest of tiny")


class Tiny(torch.nn.Module):
    """uint8 (B, S, S, 3) -> (B, 8)."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self._convolution = torch.nn.Conv2d(3, 8, 3)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        x = frames.permute(0, 3, 1, 2).float() / 255
        return torch.relu(self._convolution(x)).mean((2, 3))


@pytest.fixture
def encoder(tmp_path: Path) -> Callable[..., FrameEncoder]:
    base = ModelSettings("cpu", "float32", "openvino", 4, 1, cache_directory=tmp_path / "kept")

    def build(identity: Identity = IDENTITY, **changes: object) -> FrameEncoder:
        return FrameEncoder(identity, Tiny, SIDE, replace(base, **changes))  # type: ignore[arg-type]

    return build


@pytest.fixture
def file(encoder: Callable[..., FrameEncoder], tmp_path: Path) -> Path:
    """A file as it is written, whose network is not quantised: that needs NNCF."""
    exact, path = encoder(), tmp_path / "tiny.int8"
    write_int8(path, exact.network().openvino, exact.float_digest)
    return path


def test_the_network_of_the_file_runs_and_its_vectors_have_a_digest_of_their_own(
    encoder: Callable[..., FrameEncoder], file: Path
) -> None:
    exact, int8 = encoder(), encoder(dtype="int8", int8_network=file)
    assert int8.plan.dtype == "int8"
    assert int8.digest != exact.digest
    assert int8.encode(PICTURES).tobytes() == exact.encode(PICTURES).tobytes()


def test_vectors_in_int8_are_near_the_exact_ones(
    encoder: Callable[..., FrameEncoder], tmp_path: Path
) -> None:
    exact, path = encoder(), tmp_path / "quantised.int8"
    write_int8(path, quantise(exact.network().openvino, PICTURES[:32]), exact.float_digest)
    int8 = encoder(dtype="int8", int8_network=path)
    ours, theirs = int8.encode(PICTURES).astype(float), exact.encode(PICTURES).astype(float)
    assert (ours * theirs).sum(axis=1).min() > 0.99
    assert ours.tobytes() != theirs.tobytes()


def test_all_who_read_the_file_return_the_same_bytes(
    encoder: Callable[..., FrameEncoder], file: Path
) -> None:
    one, other = (encoder(dtype="int8", int8_network=file) for _ in range(2))
    assert one.digest == other.digest
    assert one.encode(PICTURES).tobytes() == other.encode(PICTURES).tobytes()


def test_a_file_of_another_network_or_a_damaged_one_is_refused(
    encoder: Callable[..., FrameEncoder], file: Path
) -> None:
    with pytest.raises(OperatorError, match=r"not of the encoder other .* make it anew"):
        encoder(Identity("other", "digest of other"), dtype="int8", int8_network=file)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(OperatorError, match="is damaged"):
        encoder(dtype="int8", int8_network=file)
    with pytest.raises(OperatorError, match=r"cannot be read .*quantise"):
        read_int8(file.with_name("none"), "tiny", "digest of tiny")


def test_without_a_file_frames_are_encoded_as_with_auto(
    encoder: Callable[..., FrameEncoder],
) -> None:
    int8 = encoder(dtype="int8")
    assert int8.plan.dtype != "int8"
    assert int8.digest == IDENTITY.digest


def test_captions_and_sound_are_not_in_int8() -> None:
    config = config_of(None, {"models.dtype": "int8", "models.int8_network": "frames.int8"})
    dtypes = {each: model_settings(config, each).dtype for each in Modality}
    assert dtypes == {Modality.FRAME: "int8", Modality.CAPTION: "auto", Modality.AUDIO: "auto"}


@pytest.mark.parametrize("runtime", ["torch", "compiled", "int8"])
def test_int8_with_a_runtime_other_than_openvino_is_refused(
    encoder: Callable[..., FrameEncoder], file: Path, runtime: str
) -> None:
    with pytest.raises(OperatorError, match=r"set models.runtime to auto"):
        encoder(dtype="int8", int8_network=file, runtime=runtime)


def test_a_worker_that_runs_int8_does_not_need_what_made_it() -> None:
    code = (
        "import sys; sys.modules['nncf'] = None\n"
        "import worker.models.int8 as int8\n"
        "from worker.errors import OperatorError\n"
        "try: int8.quantise(None, None)\n"
        "except OperatorError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "multimodal-worker[int8]" in done.stdout
