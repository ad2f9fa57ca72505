"""From one vector per token to one per text or clip. Padding stands on the right."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

Pool = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def mean(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return sum_t m_t h_t / sum_t m_t: (B, T, D) and mask (B, T), some 1 per row, -> (B, D)."""
    kept = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * kept).sum(1) / kept.sum(1)


def last(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the vector of the last token that is not padding: what a causal model has read."""
    places = mask.sum(1) - 1
    return hidden[torch.arange(hidden.shape[0], device=hidden.device), places]


def first(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:  # noqa: ARG001 - a Pool
    """Return the vector of the first token, [CLS] in BERT."""
    return hidden[:, 0]


POOLS: Mapping[str, Pool] = {"mean": mean, "last": last, "first": first}
