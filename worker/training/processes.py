"""Several processes that train together, as `torchrun` starts them. All hold the same model.

Each sees all data and draws the same batches; what they share is the work of a step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed

LONGEST_WAIT = timedelta(days=1)  # for the one that leads, while it encodes the media


@dataclass(frozen=True, slots=True)
class Processes:
    """`rank` of `count`. The first one leads: it alone writes and prints."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this one writes."""
        return self.rank == 0

    def add(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace each tensor by its sum over the processes; shapes are the same in all."""
        if self.count == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        totals = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, total in zip(tensors, totals, strict=True):
            tensor.copy_(total.view_as(tensor))

    def wait(self) -> None:
        """Return when all have come here."""
        if self.count > 1:
            distributed.barrier()


ALONE = Processes()


@contextmanager
def together() -> Iterator[Processes]:
    """Join the others where `torchrun` has started this process, else be alone."""
    if not distributed.is_torchelastic_launched():
        yield ALONE
        return
    distributed.init_process_group("gloo", timeout=LONGEST_WAIT)
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
