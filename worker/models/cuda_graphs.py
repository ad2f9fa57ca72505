"""CUDA graphs on fixed buckets: all kernels of a network are launched as one.

A graph is of fixed shapes, so a batch is filled up to the next bucket, a power of two; one is
recorded when a bucket first occurs, for each shape that an item has. To launch the kernels of a
small batch singly takes the CPU longer than they run.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

MAX_GRAPHS = 32  # each holds memory; what has yet another shape is run without
_WARM_UP = 3  # runs on a stream of their own, which recording asks for

Replay = Callable[..., torch.Tensor]
Record = Callable[[nn.Module, tuple[torch.Tensor, ...]], Replay]


def bucket(items: int, largest: int) -> int:
    """Return the least power of two that is not below, or `largest`.

    >>> [bucket(items, 12) for items in (1, 3, 8, 9)]
    [1, 4, 8, 12]
    """
    return int(min(1 << (items - 1).bit_length(), largest))


def recorded(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> Replay:
    """Record the module on inputs of this shape, which are on a CUDA device.

    Raises RuntimeError for a module that waits for the device in between.
    """
    held = tuple(each.clone() for each in inputs)
    with torch.cuda.device(held[0].device):
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UP):
                module(*held)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result: torch.Tensor = module(*held)

    def replay(*new: torch.Tensor) -> torch.Tensor:
        for place, each in zip(held, new, strict=True):
            place.copy_(each)
        graph.replay()
        return result.clone()

    return replay


class Graphs:
    """Runs a module that takes tensors with a common leading axis of at most `largest` items."""

    def __init__(self, module: nn.Module, largest: int, record: Record = recorded) -> None:
        self._module = module
        self._largest = largest
        self._record = record
        self._graphs: dict[tuple[torch.Size, ...], Replay] = {}

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Return what the module returns for the inputs."""
        items = inputs[0].shape[0]
        filled = tuple(_filled(each, bucket(items, self._largest)) for each in inputs)
        shape = tuple(each.shape for each in filled)
        if shape not in self._graphs:
            if len(self._graphs) == MAX_GRAPHS:
                result: torch.Tensor = self._module(*inputs)
                return result
            self._graphs[shape] = self._record(self._module, filled)
        return self._graphs[shape](*filled)[:items]


def _filled(tensor: torch.Tensor, size: int) -> torch.Tensor:
    """Return the tensor with its last item repeated up to `size` items."""
    lacking = size - tensor.shape[0]
    return torch.cat([tensor, *[tensor[-1:]] * lacking]) if lacking else tensor
