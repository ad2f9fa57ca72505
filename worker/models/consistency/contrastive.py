"""Heads that learn agreement from pairs alone: first a common space, then a decision.

    x = P_u u / |P_u u|,  y = P_v v / |P_v v|                    P: linear, (K, D)
    InfoNCE   L = (CE(tau X Y^T, i) + CE(tau Y X^T, i)) / 2      van den Oord et al., 2018
    BCE       s = W_2 gelu(W_1 [x, y, x * y, |x - y|])           true pairs 1, others 0

Pairs whose second parts are nearly the same (cosine above 0.9: one caption for many frames) are no
negatives for each other: InfoNCE leaves them out of the denominator.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from worker.models.consistency.shared_space import TEMPERATURE

DIM = 128
DUPLICATE = 0.9  # cosine above which two second parts say the same


class Heads(nn.Module):
    """Two projections into a common space, and tau."""

    def __init__(self, first: int, second: int, dim: int = DIM) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(first, dim), nn.Linear(second, dim)
        self.log_tau = nn.Parameter(torch.tensor(1 / 0.07).log())  # CLIP's start

    def forward(self, u: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return unit rows x and y (B, K)."""
        return functional.normalize(self.first(u)), functional.normalize(self.second(v))

    @property
    def tau(self) -> torch.Tensor:
        """The temperature, bounded as CLIP's is."""
        tau: torch.Tensor = self.log_tau.exp().clamp(max=TEMPERATURE)
        return tau

    def agreement(self, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Return the cosine (B,) of each pair in the common space."""
        x, y = self(u, v)
        cosines: torch.Tensor = (x * y).sum(1)
        return cosines


def info_nce(x: torch.Tensor, y: torch.Tensor, tau: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Return the symmetric InfoNCE loss of unit rows x, y (B, K), in nats; `v` finds duplicates."""
    logits = (tau * x @ y.T).masked_fill(duplicates(v), -torch.inf)
    places = torch.arange(len(x), device=x.device)
    there = functional.cross_entropy(logits, places)
    back = functional.cross_entropy(logits.T, places)
    return (there + back) / 2


def duplicates(v: torch.Tensor) -> torch.Tensor:
    """Return (B, B): whether two different rows say nearly the same."""
    unit = functional.normalize(v)
    same = unit @ unit.T > DUPLICATE
    return same & ~torch.eye(len(v), dtype=torch.bool, device=v.device)


class AgreementHead(nn.Module):
    """x, y (B, K) -> the logit (B,) that they belong together."""

    def __init__(self, dim: int = DIM) -> None:
        super().__init__()
        self.decide = nn.Sequential(nn.Linear(4 * dim, dim), nn.GELU(), nn.Linear(dim, 1))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        logit: torch.Tensor = self.decide(torch.cat([x, y, x * y, (x - y).abs()], 1))
        return logit.squeeze(1)


def agreement_loss(
    head: AgreementHead,
    x: torch.Tensor,
    y: torch.Tensor,
    negatives: torch.Tensor,
    v: torch.Tensor,
) -> torch.Tensor:
    """Return the binary cross-entropy of the pairs and of x with y[negatives], in nats.

    `negatives` (B,) are places of other rows; those that are duplicates by `v` do not count.
    """
    rows = torch.arange(len(x), device=x.device)
    usable = ~duplicates(v)[rows, negatives] & (negatives != rows)
    true = functional.softplus(-head(x, y)).mean()
    if not usable.any():
        return true
    false = functional.softplus(head(x, y[negatives]))[usable].mean()
    return (true + false) / 2
