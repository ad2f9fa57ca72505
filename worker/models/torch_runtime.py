"""Networks run by torch: as they are, compiled, by CUDA graphs, or with linear layers in int8."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from worker.errors import OperatorError
from worker.models.cuda_graphs import Graphs
from worker.models.plan import Array, Call, Plan, Run, Runtime, writable

# What is made ready by a first run, and how that may be helped.
_NEEDS: Mapping[Runtime, str] = {"compiled": "install a C++ compiler or ", "graphs": ""}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def start_torch(module: nn.Module, sample: tuple[Array, ...], plan: Plan, device: str) -> Run:
    """Make a copy of the module ready to run. Raises OperatorError where it cannot be compiled."""
    module = copy.deepcopy(module).to(device, DTYPES[plan.dtype])
    module = module.to(memory_format=torch.channels_last)
    if plan.runtime == "int8":
        module = _quantised(module)
    if plan.runtime == "compiled":
        module.compile()
    call = Graphs(module, plan.batch_size) if plan.runtime == "graphs" else module

    def run(*arrays: Array) -> NDArray[np.float32]:
        if torch.get_num_threads() != plan.threads:
            torch.set_num_threads(plan.threads)
        with torch.inference_mode():
            inputs = [_tensor(array, DTYPES[plan.dtype]).to(device) for array in arrays]
            result: NDArray[np.float32] = call(*inputs).float().cpu().numpy()
        return result

    if plan.runtime in _NEEDS:
        prepare_now(run, sample, plan.runtime)
    return Run(run)


def prepare_now(run: Call, sample: tuple[Array, ...], runtime: Runtime) -> None:
    """Run once, which compiles or records. Raises OperatorError where that cannot be done here."""
    try:
        run(*(array[:2] for array in sample))
    except Exception as error:  # of a compiler, the linker or torch itself
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise OperatorError(
            f"models.runtime is {runtime}, which fails here ({reason}): {_NEEDS[runtime]}set it"
            " to auto."
        ) from error


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
    tensor = torch.from_numpy(writable(array))
    return tensor.to(dtype) if tensor.is_floating_point() else tensor
