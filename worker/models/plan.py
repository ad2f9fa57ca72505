"""How to run a network: what there is to choose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Run = Callable[..., NDArray[np.float32]]  # arrays with a common leading axis -> (B, dim)

Runtime = Literal["torch", "compiled", "graphs", "openvino", "int8"]
Dtype = Literal["float32", "bfloat16", "float16", "int8"]


@dataclass(frozen=True, slots=True)
class Plan:
    """How to run a network: at most `batch_size` items at a time on `threads` CPU threads.

    `compiled` is torch.compile, which needs a C++ compiler; `graphs` are those of CUDA; the runtime
    `int8` has linear layers with int8 weights and activations that are quantised as they come, on a
    CPU. The dtype `int8` is of networks that were quantised before, for OpenVINO (see
    `worker.models.int8`).
    """

    runtime: Runtime
    dtype: Dtype
    batch_size: int
    threads: int


def in_chunks(run: Run, arrays: tuple[Array, ...], batch_size: int) -> NDArray[np.float32]:
    """Run at most `batch_size` items at a time; there must be at least one."""
    starts = range(0, len(arrays[0]), batch_size)
    return np.concatenate(
        [run(*(a[start : start + batch_size] for a in arrays)) for start in starts]
    )


def writable(array: Array) -> Array:
    """Return what torch can wrap without a warning; copies only a read-only or strided array."""
    return np.require(array, requirements=["C", "W"])
