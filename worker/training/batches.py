"""Which Moments are looked at together. Every draw depends on seed, stage and epoch alone.

So a run that is taken up again after a crash draws what it would have drawn.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from worker.training.dataset import Dataset

FAR_SECONDS = 60.0  # two Moments of one source that are so far apart tell of different things


def generator(*parts: int) -> torch.Generator:
    """Return draws of their own for the parts, each from 0 to 2^16."""
    seed = 0
    for part in parts:
        seed = seed * 65_537 + part + 1
    return torch.Generator().manual_seed(seed % 2**63)


def batches(data: Dataset, size: int, draws: torch.Generator) -> Iterator[torch.Tensor]:
    """Yield the places of each batch; none has fewer than two, and all are in one."""
    order = torch.randperm(len(data), generator=draws)
    count = max(1, min(round(len(data) / size), len(data) // 2))
    yield from order.tensor_split(count)


def dropped(present: torch.Tensor, probability: float, draws: torch.Generator) -> torch.Tensor:
    """Return `present` (B, M) less some modalities; a row that has any keeps at least one."""
    numbers = torch.rand(present.shape, generator=draws)
    kept = present & (numbers >= probability)
    surest = torch.where(present, numbers, -1.0).argmax(1)
    alone = torch.nn.functional.one_hot(surest, present.shape[1]).bool() & present
    return torch.where(kept.any(1, keepdim=True), kept, alone)


def others(data: Dataset, draws: torch.Generator) -> torch.Tensor:
    """Return for each row (B,) the place of another one, to be taken for a pair that is none.

    Half of them are of another source, half of the same one but long before or after, as far as
    there are such; else any other row.
    """
    same = data.source[:, None] == data.source[None]
    span = float(data.time.max() - data.time.min()) if len(data) else 0.0
    far = (data.time[:, None] - data.time[None]).abs() >= min(FAR_SECONDS, span / 3)
    coin = torch.rand((len(data), 1), generator=draws) < 0.5
    wanted = torch.where(coin, ~same, same & far)
    usable = torch.where(wanted.any(1, keepdim=True), wanted, ~same | far)
    numbers = torch.rand(same.shape, generator=draws)
    numbers.fill_diagonal_(-1.0)
    return torch.where(usable, numbers + 1, numbers).argmax(1)
