"""What bfloat16 would lose of a convolutional network is kept where that costs nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from torch import nn

from worker.errors import OperatorError
from worker.models.bfloat16 import keeping_sums, nearest, ready_for_bfloat16
from worker.models.converted import ConvertedFile
from worker.models.openvino_runtime import convert, start_openvino
from worker.models.plan import Dtype, Plan
from worker.models.processor import this_processor
from worker.models.quiet_openvino import openvino
from worker.models.runtimes import Network
from worker.models.settings import ModelSettings

FINITE = st.floats(-(2.0**60), 2.0**60, width=32, allow_subnormal=False)
RESOLUTION = 2.0**-8  # of numbers from 1 to 2


@given(arrays.arrays(np.float32, st.integers(1, 40), elements=FINITE))
def test_numbers_are_rounded_as_torch_rounds_them(numbers: NDArray[np.float32]) -> None:
    expected = torch.from_numpy(numbers.copy()).bfloat16().float().numpy()
    assert nearest(numbers).tobytes() == expected.tobytes()


@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 5), st.integers(1, 25)),
        elements=st.floats(-2, 2, width=32),
    )
)
def test_a_kernel_keeps_its_sum_and_each_weight_nearly_its_place(
    kernels: NDArray[np.float32],
) -> None:
    rounded = keeping_sums(kernels)
    assert rounded.tobytes() == nearest(rounded).tobytes()
    assert np.abs(rounded - kernels).max() <= 2 * RESOLUTION
    exact = kernels.astype(np.float64).sum(axis=1)
    assert np.abs(rounded.sum(axis=1, dtype=np.float64) - exact).max() <= RESOLUTION


class Depthwise(nn.Module):
    """Two convolutions, then kernels and biases that plain rounding shifts all to one side."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Sequential(nn.Conv2d(3, 16, 1), nn.Conv2d(16, 16, 1), nn.ReLU())
        self.last = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        nn.init.constant_(self.last.weight, 1 + 0.49 * RESOLUTION)
        self.last.bias = nn.Parameter(torch.full((16,), 9 + 3 * RESOLUTION))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return (B, 16)."""
        result: torch.Tensor = self.last(self.first(pictures)).mean((2, 3))
        return result


PICTURES = np.random.default_rng(0).random((4, 3, 32, 32), np.float32)


@pytest.fixture(scope="module")
def module() -> nn.Module:
    return Depthwise().eval()


def largest_error(module: nn.Module, *, ready: bool, dtype: Dtype = "bfloat16") -> float:
    with torch.no_grad():
        exact = module(torch.from_numpy(PICTURES)).numpy()
    model = convert(module, (PICTURES,))
    run = start_openvino(
        ready_for_bfloat16(model) if ready else model, Plan("openvino", dtype, 4, 1)
    )
    return float(np.abs(run(PICTURES) / exact - 1).max())


@pytest.mark.skipif(not this_processor().bfloat16, reason="the processor has no bfloat16")
def test_channels_are_not_shifted(module: nn.Module) -> None:
    assert largest_error(module, ready=False) > 1.5e-3
    assert largest_error(module, ready=True) < 0.3e-3


def test_layers_are_rounded_after_the_first_two_and_no_bias_is(module: nn.Module) -> None:
    ready = ready_for_bfloat16(convert(module, (PICTURES,)))
    layers = [node for node in ready.get_ordered_ops() if "Convolution" in node.get_type_name()]
    weights = [np.asarray(each.input_value(1).get_node().data, np.float32) for each in layers]
    assert [np.array_equal(each, nearest(each)) for each in weights] == [False, False, True]
    assert ["DisablePrecisionConversion_0" in node.get_rt_info() for node in layers] == [
        True,
        True,
        False,
    ]
    for each in layers:
        (reader,) = each.output(0).get_target_inputs()
        assert reader.get_node().get_type_name() == "Clamp"


@pytest.mark.skipif(not this_processor().bfloat16, reason="the processor has no bfloat16")
def test_openvino_runs_the_first_two_layers_in_float32_and_the_others_not(
    module: nn.Module,
) -> None:
    ready = ready_for_bfloat16(convert(module, (PICTURES,)))
    compiled = openvino.Core().compile_model(ready, "CPU", {"INFERENCE_PRECISION_HINT": "bf16"})
    told = [node.get_rt_info() for node in compiled.get_runtime_model().get_ordered_ops()]
    run = [each["runtimePrecision"] for each in told if each["layerType"] == "Convolution"]
    assert run == ["f32", "f32", "bf16"]


class Branches(nn.Module):
    """Convolutions without a bias, of which several others read."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Conv2d(3, 4, 1, bias=False) for _ in range(3))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return (B, 12)."""
        found = [torch.relu(part(pictures)) + part(pictures) for part in self.parts]
        return torch.cat([*found], 1).mean((2, 3))


def test_a_convolution_needs_no_bias() -> None:
    torch.manual_seed(0)
    model = convert(Branches().eval(), (PICTURES,))
    exact, rounded = (
        start_openvino(each, Plan("openvino", "float32", 4, 1))(PICTURES)
        for each in (model, ready_for_bfloat16(model))
    )
    assert 0 < np.abs(rounded - exact).max() < RESOLUTION


def test_a_network_without_convolutions_is_taken_as_it_is() -> None:
    model = convert(nn.Linear(3, 2).eval(), (np.ones((2, 3), np.float32),))
    assert ready_for_bfloat16(model) is model


def test_files_are_written_where_networks_are_kept(
    module: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    settings = ModelSettings(cache_directory=tmp_path)
    network = Network(lambda: module, lambda: (PICTURES,), ConvertedFile.of(settings, "digest"))
    assert network.start(Plan("openvino", "bfloat16", 4, 1))(PICTURES).shape == (4, 16)
    assert [each.suffix for each in tmp_path.iterdir()] == [".bin"]
    with pytest.raises(OperatorError, match="set TMPDIR"):
        ready_for_bfloat16(network.openvino)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_networks_are_made_ready_for_both_halves(module: nn.Module, dtype: Dtype) -> None:
    network = Network(lambda: module, lambda: (PICTURES,))
    with torch.no_grad():
        exact = module(torch.from_numpy(PICTURES)).numpy()
    found = network.start(Plan("openvino", dtype, 4, 1))(PICTURES)
    assert np.abs(found / exact - 1).max() < 0.3e-3


def test_in_float32_nothing_else_has_changed(module: nn.Module) -> None:
    assert largest_error(module, ready=True, dtype="float32") < 0.3e-3
