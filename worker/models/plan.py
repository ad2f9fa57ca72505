"""How to run a network: what there is to choose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Call = Callable[..., NDArray[np.float32]]  # arrays with a common leading axis -> (B, dim)

Runtime = Literal["torch", "compiled", "graphs", "openvino", "int8"]
Dtype = Literal["float32", "bfloat16", "float16", "int8"]
HALVES = frozenset({"bfloat16", "float16"})  # of a float's bits


@dataclass(frozen=True, slots=True)
class Plan:
    """How to run a network: at most `batch_size` items at a time on `threads` CPU threads.

    OpenVINO works on as many batches at a time as there are threads, each on one: threads that
    share a batch wait for each other at every layer. Items that come one by one are shared.
    `compiled` is torch.compile, which needs a C++ compiler; `graphs` are those of CUDA; the runtime
    `int8` has linear layers with int8 weights and activations that are quantised as they come, on a
    CPU. The dtype `int8` is of networks that were quantised before, for OpenVINO (see
    `worker.models.int8`).
    """

    runtime: Runtime
    dtype: Dtype
    batch_size: int
    threads: int


class Run:
    """A network that is ready, as a function of one batch. To be called by one thread at a time."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def __call__(self, *arrays: Array) -> NDArray[np.float32]:
        """Return (B, dim) for arrays with a common leading axis B >= 1."""
        return self._call(*arrays)

    def in_batches(self, arrays: tuple[Array, ...], batch_size: int) -> NDArray[np.float32]:
        """Run at most `batch_size` items at a time; there must be at least one."""
        return np.concatenate([self._call(*batch) for batch in batches(arrays, batch_size)])


def batches(arrays: tuple[Array, ...], batch_size: int) -> Iterator[list[Array]]:
    """Yield `batch_size` items at a time, the rest at last."""
    for start in range(0, len(arrays[0]), batch_size):
        yield [array[start : start + batch_size] for array in arrays]


def writable(array: Array) -> Array:
    """Return what torch can wrap without a warning; copies only a read-only or strided array."""
    return np.require(array, requirements=["C", "W"])
