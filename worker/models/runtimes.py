"""Ways to run a network: torch as it is or compiled, OpenVINO or dynamic int8 on a CPU."""

from __future__ import annotations

import copy
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from worker.errors import OperatorError

# The import of openvino reports to its vendor, unless this package cannot be imported: then it
# uses its own stub. A worker does not call anybody.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment] # how Python blocks an import
import openvino  # noqa: E402 - after the line above

Array = NDArray[Any]
Run = Callable[..., NDArray[np.float32]]  # arrays with a common leading axis -> (B, dim)

Runtime = Literal["torch", "compiled", "openvino", "int8"]
Dtype = Literal["float32", "bfloat16", "float16"]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}


@dataclass(frozen=True, slots=True)
class Plan:
    """How to run a network: at most `batch_size` items at a time on `threads` CPU threads.

    `compiled` is torch.compile, which needs a C++ compiler; `int8` has linear layers with int8
    weights and activations that are quantised as they come, on a CPU.
    """

    runtime: Runtime
    dtype: Dtype
    batch_size: int
    threads: int


class Network:
    """A module in evaluation mode and inputs that are typical of it.

    `sample` has one array per input of the module, all with as many items as a plan is measured on.
    """

    def __init__(self, module: nn.Module, sample: tuple[Array, ...]) -> None:
        self.module = module.eval()
        self.sample = sample

    def start(self, plan: Plan, device: str = "cpu") -> Run:
        """Make it ready to run by a plan. The result is to be called by one thread at a time."""
        if plan.runtime == "openvino":
            return self._start_openvino(plan)
        return self._start_torch(plan, device)

    def _start_torch(self, plan: Plan, device: str) -> Run:
        module = copy.deepcopy(self.module).to(device, _DTYPES[plan.dtype])
        module = module.to(memory_format=torch.channels_last)
        if plan.runtime == "int8":
            module = _quantised(module)
        if plan.runtime == "compiled":
            module.compile()

        def run(*arrays: Array) -> NDArray[np.float32]:
            if torch.get_num_threads() != plan.threads:
                torch.set_num_threads(plan.threads)
            with torch.inference_mode():
                inputs = [_tensor(array, _DTYPES[plan.dtype]).to(device) for array in arrays]
                result: NDArray[np.float32] = module(*inputs).float().cpu().numpy()
            return result

        if plan.runtime == "compiled":
            self.compile_now(run)
        return run

    def compile_now(self, run: Run) -> None:
        """Run once, which compiles. Raises OperatorError where that cannot be done here."""
        try:
            run(*(array[:2] for array in self.sample))
        except Exception as error:  # of a compiler, the linker or torch itself
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise OperatorError(
                f"models.runtime is compiled, which fails here ({reason}): install a C++ compiler"
                " or set it to auto."
            ) from error

    def _start_openvino(self, plan: Plan) -> Run:
        options = {
            "INFERENCE_PRECISION_HINT": _PRECISIONS[plan.dtype],
            "INFERENCE_NUM_THREADS": plan.threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # several workers share a machine
        }
        compiled = openvino.Core().compile_model(self._converted, "CPU", options)

        def run(*arrays: Array) -> NDArray[np.float32]:
            return np.array(compiled(arrays)[0], np.float32)

        return run

    @cached_property
    def _converted(self) -> openvino.Model:
        """Trace the module on two items; batch and sequence lengths stay free."""
        example = tuple(torch.from_numpy(_writable(array[:2])) for array in self.sample)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # the tracer of torch calls itself deprecated
            return openvino.convert_model(self.module, example_input=example)


def in_chunks(run: Run, arrays: tuple[Array, ...], batch_size: int) -> NDArray[np.float32]:
    """Run at most `batch_size` items at a time; there must be at least one."""
    starts = range(0, len(arrays[0]), batch_size)
    return np.concatenate(
        [run(*(a[start : start + batch_size] for a in arrays)) for start in starts]
    )


def _quantised(module: nn.Module) -> nn.Module:
    """Return the module with its linear layers in int8; convolutions stay as they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.ao moves to a package of its own one day
        quantised: nn.Module = torch.ao.quantization.quantize_dynamic(  # type: ignore[no-untyped-call]
            module, {nn.Linear}, dtype=torch.qint8
        )
    return quantised


def _tensor(array: Array, dtype: torch.dtype) -> torch.Tensor:
    """Return the array as a tensor; floats get the dtype of the weights."""
    tensor = torch.from_numpy(_writable(array))
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _writable(array: Array) -> Array:
    """Return what torch can wrap without a warning; copies only a read-only or strided array."""
    return np.require(array, requirements=["C", "W"])
