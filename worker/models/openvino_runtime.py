"""Networks run by OpenVINO on a CPU."""

from __future__ import annotations

import math
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from worker.models.plan import Array, Plan, Run, batches, writable
from worker.models.quiet_openvino import openvino

if TYPE_CHECKING:
    from torch import nn

Model: TypeAlias = openvino.Model

# Of what is not quantised, where the network is int8.
_PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16", "int8": "f32"}


def start_openvino(model: Model, plan: Plan) -> Run:
    """Compile the model for a plan. The result is to be called by one thread at a time."""
    streams = plan.threads if plan.batch_size > 1 else 1
    options = {
        "INFERENCE_PRECISION_HINT": _PRECISIONS[plan.dtype],
        "INFERENCE_NUM_THREADS": plan.threads,
        "NUM_STREAMS": streams,
        "ENABLE_CPU_PINNING": False,  # several workers share a machine
    }
    compiled = openvino.Core().compile_model(model, "CPU", options)
    return Run(partial(_call, compiled)) if streams == 1 else _Streams(compiled, streams)


class _Streams(Run):
    """Works on `streams` batches at a time."""

    def __init__(self, compiled: openvino.CompiledModel, streams: int) -> None:
        super().__init__(partial(_call, compiled))
        self._streams = streams
        self._requests = openvino.AsyncInferQueue(compiled, streams)
        self._requests.set_callback(_keep)

    def in_batches(self, arrays: tuple[Array, ...], batch_size: int) -> NDArray[np.float32]:
        """Run at most `batch_size` items at a time on each stream; there must be at least one."""
        size = min(batch_size, math.ceil(len(arrays[0]) / self._streams))
        results: dict[int, NDArray[np.float32]] = {}
        for place, batch in enumerate(batches(arrays, size)):
            self._requests.start_async(dict(enumerate(batch)), (results, place))
        self._requests.wait_all()
        return np.concatenate([results[place] for place in sorted(results)])


def _keep(request: openvino.InferRequest, to: tuple[dict[int, NDArray[np.float32]], int]) -> None:
    results, place = to
    results[place] = np.array(request.get_output_tensor(0).data, np.float32)


def _call(compiled: openvino.CompiledModel, *arrays: Array) -> NDArray[np.float32]:
    return np.array(compiled(arrays)[0], np.float32)


def read_model(description: bytes, weights: bytes) -> Model | None:
    """Return the model of what `write_model` returned; None where that is of no use."""
    try:
        return openvino.Core().read_model(description, weights)
    except RuntimeError:  # of another version's operations, or none of its own
        return None


def write_model(model: Model, directory: Path) -> tuple[bytes, bytes]:
    """Return description (XML) and weights, in full precision, by way of files in `directory`.

    Raises OSError and RuntimeError.
    """
    description = directory / "network.xml"
    openvino.save_model(model, description, compress_to_fp16=False)
    return description.read_bytes(), description.with_suffix(".bin").read_bytes()


def convert(module: nn.Module, sample: tuple[Array, ...]) -> Model:
    """Trace the module on two items; batch and sequence lengths stay free."""
    import torch

    example = tuple(torch.from_numpy(writable(array[:2])) for array in sample)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the tracer of torch calls itself deprecated
        return openvino.convert_model(module, example_input=example)
