"""The trainable fusion: embeddings of any modalities in, one vector, weights and logits out.

t_m = B_m gelu(A_m LN(z_m) + a_m) + b_m + d_m     z_m (D_m,), t_m (D,), d_m: which modality
v, w = operator(t, present, quality)              see OPERATORS
logits = C v + c;  unimodal_m = C_m t_m + c_m     C (classes, D)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import nn

from worker.models.fusion.attention import Attention
from worker.models.fusion.operators import (
    Adapter,
    Concat,
    Gated,
    Product,
    ProductOfExperts,
    Weighted,
)

OPERATORS: Mapping[str, Callable[[int, int], nn.Module]] = {
    "concat": Concat,
    "weighted": Weighted,
    "gated": Gated,
    "product": Product,
    "attention": Attention,
    "poe": ProductOfExperts,
    "adapter": Adapter,
}


class Output(NamedTuple):
    """fused (B, D), weights (B, M), logits (B, C), unimodal_logits (B, M, C)."""

    fused: torch.Tensor
    weights: torch.Tensor
    logits: torch.Tensor
    unimodal_logits: torch.Tensor


class Tokens(nn.Module):
    """z_m (B, D_m) -> t_m (B, D) for one modality."""

    def __init__(self, inputs: int, dim: int) -> None:
        super().__init__()
        self.project = nn.Sequential(
            nn.LayerNorm(inputs), nn.Linear(inputs, dim), nn.GELU(), nn.Linear(dim, dim)
        )
        self.place = nn.Parameter(torch.randn(dim) * 0.02)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return the tokens."""
        token: torch.Tensor = self.project(vectors) + self.place
        return token


class FusionModel(nn.Module):
    """M modalities by name, in a fixed order, with vectors of their own lengths.

    Raises KeyError for an operator that is not in OPERATORS.
    """

    def __init__(
        self, dims: Mapping[str, int], operator: str, dim: int = 256, classes: int = 2
    ) -> None:
        super().__init__()
        self.modalities = tuple(dims)
        self.tokens = nn.ModuleDict({name: Tokens(size, dim) for name, size in dims.items()})
        self.operator = OPERATORS[operator](len(dims), dim)
        self.head = nn.Linear(dim, classes)
        self.unimodal_heads = nn.ModuleDict({name: nn.Linear(dim, classes) for name in dims})

    def forward(
        self,
        z: Mapping[str, torch.Tensor],
        present: torch.Tensor,
        quality: torch.Tensor | None = None,
    ) -> Output:
        """Fuse z_m (B, D_m), `present` (B, M) bool, `quality` (B, M) in [0, 1], by default 1.

        What is missing has no influence and gets no gradient, and may be NaN; its unimodal logits
        are 0. All outputs are finite for every mask, the empty one included.
        """
        tokens = self.tokens_of(z, present)
        fused, weights = self.join(tokens, present, quality)
        return Output(fused, weights, self.head(fused), self.alone(tokens, present))

    def tokens_of(self, z: Mapping[str, torch.Tensor], present: torch.Tensor) -> torch.Tensor:
        """Return t (B, M, D), finite even where z is not."""
        places = enumerate(self.modalities)
        clean = [torch.where(present[:, [at]], z[name], 0.0) for at, name in places]
        return torch.stack(
            [self.tokens[name](x) for name, x in zip(self.modalities, clean, strict=True)], 1
        )

    def join(
        self, tokens: torch.Tensor, present: torch.Tensor, quality: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what the operator makes of tokens: v (B, D) and w (B, M)."""
        sure = torch.ones_like(tokens[..., 0]) if quality is None else quality
        fused, weights = self.operator(tokens, present, sure)
        return fused, weights

    def alone(self, tokens: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """Return the unimodal logits (B, M, C)."""
        logits = torch.stack(
            [self.unimodal_heads[name](tokens[:, at]) for at, name in enumerate(self.modalities)], 1
        )
        return torch.where(present.unsqueeze(-1), logits, 0.0)
