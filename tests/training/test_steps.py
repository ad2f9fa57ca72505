"""Steps: in parts, in bfloat16, by several processes, with the gradients modulated."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from crc32c import crc32c

from tests.training.builders import SMALL, labels, rows, training
from tests.training.parallel import train_together
from worker.core.events import Modality
from worker.demo.processes import free_ports
from worker.training.batches import generator
from worker.training.dataset import Dataset, assemble
from worker.training.losses import Terms
from worker.training.model import make_model
from worker.training.modulation import coefficients, modulate
from worker.training.steps import MAX_NORM, Stepper, TermsOf, are_numbers
from worker.training.tensorboard import events

PLACES = torch.arange(12)


def stepper(weight: torch.nn.Parameter, **more: object) -> Stepper:
    return Stepper(torch.optim.SGD([weight], lr=1.0), **more)  # type: ignore[arg-type]


def squares(weight: torch.nn.Parameter, seen: list[int]) -> TermsOf:
    """Return terms whose mean over rows is additive, so that parts make no difference."""

    def terms_of(places: torch.Tensor, part: int) -> Terms:
        seen.append(part)
        return {"views": (weight * places.float()).square().mean()}

    return terms_of


@pytest.mark.parametrize("parts", [1, 2, 5, 100])
def test_a_batch_in_parts_has_the_gradient_of_the_whole(parts: int) -> None:
    weight, seen = torch.nn.Parameter(torch.tensor(0.1)), list[int]()
    terms = stepper(weight, accumulate=parts).gradients(PLACES, squares(weight, seen))
    mean = float(PLACES.float().square().mean())
    assert seen == list(range(min(parts, 6)))  # a part has two rows at least
    assert weight.grad is not None
    assert float(weight.grad) == pytest.approx(0.2 * mean, rel=1e-5)
    assert terms == {"views": pytest.approx(0.01 * mean, rel=1e-5)}


def test_a_step_is_never_longer_than_the_norm_allows() -> None:
    weight = torch.nn.Parameter(torch.tensor(100.0))
    one = stepper(weight)
    assert are_numbers(one.gradients(PLACES, squares(weight, [])))
    one.move()
    assert float(weight.detach()) == pytest.approx(100 - MAX_NORM)


def labelled() -> Dataset:
    found = rows(24)
    return assemble(found, labels(found))


def fitted(directory: Path, **more: object) -> dict[str, torch.Tensor]:
    run = training(directory, labelled(), replace(SMALL, epochs=2, **more))  # type: ignore[arg-type]
    history = run.run()
    assert all(are_numbers(each["trained"]) for each in history)
    return run.model.state_dict()


@pytest.mark.parametrize(
    "more", [{"precision": "bfloat16"}, {"accumulate": 3}, {"modulation": True}]
)
def test_each_way_of_stepping_trains_and_is_repeatable(
    tmp_path: Path, more: dict[str, object]
) -> None:
    plain, other, again = (
        fitted(tmp_path / name, **wish) for name, wish in (("a", {}), ("b", more), ("c", more))
    )
    assert all(torch.equal(other[name], again[name]) for name in other)
    assert any(not torch.equal(other[name], plain[name]) for name in other)
    assert all(each.dtype == torch.float32 for each in other.values())


def test_two_processes_step_as_one_does_in_two_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = fitted(tmp_path / "alone", accumulate=2)
    told = {  # by torchrun to those that it starts; the other one is rank 1
        "TORCHELASTIC_RUN_ID": "a test",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_ports(1)[0]),
        "GLOO_SOCKET_IFNAME": "lo",
        "WORLD_SIZE": "2",
        "RANK": "0",
    }
    command = [sys.executable, "-m", "tests.training.parallel", str(tmp_path)]
    with subprocess.Popen(command, env={**os.environ, **told, "RANK": "1"}) as other:
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        train_together(tmp_path)
    assert other.returncode == 0
    for rank in range(2):
        shared = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for name, tensor in alone.items():
            assert torch.allclose(shared[name], tensor, atol=1e-4), name
    assert (tmp_path / "0" / "checkpoint.pt").exists()
    assert not (tmp_path / "1" / "checkpoint.pt").exists()


def test_a_modality_that_outruns_the_others_is_slowed_down() -> None:
    data = labelled()
    model = make_model(data, SMALL)
    assert torch.equal(coefficients(model, data.rows(torch.arange(0))), torch.ones(3))
    with torch.no_grad():  # the frame's head always knows, the others never do
        for parameter in model.fusion.unimodal_heads.parameters():
            parameter.zero_()
        bias = model.fusion.get_parameter(f"unimodal_heads.{Modality.FRAME}.bias")
        bias[0] = 5.0
    known = data.rows((data.label == 0).nonzero().squeeze(1))
    frame, *others = coefficients(model, known).tolist()
    ratio = float(torch.tensor([5.0, 0.0]).softmax(0)[0]) / 0.5
    assert frame == pytest.approx(1 - float(torch.tanh(torch.tensor(0.3 * ratio))))
    assert others == [1.0, 1.0]
    for parameter in model.fusion.tokens[Modality.FRAME].parameters():
        parameter.grad = torch.ones_like(parameter)
    modulate(model, known, generator(0))
    for parameter in model.fusion.tokens[Modality.FRAME].parameters():
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, torch.full_like(parameter, frame))


def test_curves_are_records_that_tensorboard_can_read() -> None:
    entry = {
        "stage": 1,
        "epoch": 1,
        "trained": {"views": 0.5, "agreement": 0.25},
        "held_out": {"views": 1.0},
        "contributions": {"frame": 0.125},
    }
    data, found = events([entry, entry]), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        body = data[12 : 12 + length]
        masks = (data[8:12], data[12 + length : 16 + length])
        for masked, part in zip(masks, (data[:8], body), strict=True):
            crc = crc32c(part)
            assert struct.unpack("<I", masked)[0] == ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32
        found.append(body)
        data = data[16 + length :]
    assert len(found) == 3
    assert b"brain.Event:2" in found[0]
    assert b"loss/trained\x15" + struct.pack("<f", 0.75) in found[1]
    assert b"contribution/frame\x15" + struct.pack("<f", 0.125) in found[2]
