"""Operators that fuse by a formula of one line. Attention has a module of its own.

All take tokens t (B, M, D), one per modality, `present` p (B, M) bool and `quality` q (B, M) in
[0, 1], and return the fused v (B, D) and weights w (B, M): the share that each modality has in v,
0 where it is missing, else a row sums to 1. What p calls missing has no influence on anything.

    concat      v = W [q_1 t_1; ..; q_M t_M] + b              W (D, M D); a missing token is e_m
    weighted    v = sum_m w_m t_m,  w_m ~ p_m q_m exp(a_m)    a (M,): alpha, beta, .. = softmax(a)
    gated       the same with a_m = u . tanh(V t_m + c)       V (D, D), u and c (D,)
    product     v = prod_m (1 + p_m q_m t_m) - 1              elementwise
    poe         v = sum_m l_m mu_m / (1 + sum_m l_m)          elementwise; mu_m = A_m t_m and
                                                              l_m = p_m q_m exp(S_m t_m + s_m)
    adapter     `weighted` over t_m + U gelu(W [t_m; c_m])    W (R, 2 D), U (D, R), starts at 0;
                                                              c_m: mean of the other present tokens

In `concat`, `product` and `poe` the weights tell shares of length: |W_m q_m t_m|, |q_m t_m| and
the mean of l_m. `poe` is a product of Gaussian experts with precisions l_m and a standard normal
prior (Hinton, 2002; Wu & Goodman, 2018).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

Fused = tuple[torch.Tensor, torch.Tensor]

_LOG_PRECISION = 6.0  # bound of log l_m, so that a precision can neither vanish nor overflow


def shares(amounts: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Return amounts (B, M) >= 0 of the present as shares of 1; equal ones where all are 0."""
    kept = torch.where(present, amounts + torch.finfo(amounts.dtype).tiny, 0.0)
    return kept / kept.sum(1, keepdim=True).clamp_min(torch.finfo(amounts.dtype).tiny)


def masked_softmax(logits: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Return the softmax over the present places of each row (B, M); 0 where there are none."""
    masked = logits.masked_fill(~present, -torch.inf)
    highest = masked.amax(1, keepdim=True).detach()
    return shares(torch.exp(masked - highest.nan_to_num(neginf=0.0)), present)


def kept(tokens: torch.Tensor, present: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
    """Return p_m q_m t_m: zero where missing, whatever stood there."""
    return torch.where(present.unsqueeze(-1), tokens * quality.unsqueeze(-1), 0.0)


class Concat(nn.Module):
    """Concatenation and a fully connected layer; e (M, D) are learned tokens for the missing."""

    def __init__(self, modalities: int, dim: int) -> None:
        super().__init__()
        self.missing = nn.Parameter(torch.zeros(modalities, dim))
        self.joint = nn.Linear(modalities * dim, dim)

    def forward(self, tokens: torch.Tensor, present: torch.Tensor, quality: torch.Tensor) -> Fused:
        """Return v (B, D) and w (B, M)."""
        filled = torch.where(present.unsqueeze(-1), tokens * quality.unsqueeze(-1), self.missing)
        by_modality = self.joint.weight.view(-1, *self.missing.shape)
        parts = torch.einsum("bmd,omd->bmo", filled, by_modality)
        return parts.sum(1) + self.joint.bias, shares(parts.norm(dim=-1), present)


class Weighted(nn.Module):
    """A learned weighted sum; before training all weights are equal."""

    def __init__(self, modalities: int, dim: int) -> None:  # noqa: ARG002 - as all operators
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(modalities))

    def forward(self, tokens: torch.Tensor, present: torch.Tensor, quality: torch.Tensor) -> Fused:
        """Return v (B, D) and w (B, M)."""
        return weighted_sum(self.logits.expand(present.shape), tokens, present, quality)


def weighted_sum(
    logits: torch.Tensor, tokens: torch.Tensor, present: torch.Tensor, quality: torch.Tensor
) -> Fused:
    """Return sum_m w_m t_m and w, the softmax of logits + log q over the present."""
    weights = masked_softmax(logits + quality.clamp_min(1e-6).log(), present)
    clean = torch.where(present.unsqueeze(-1), tokens, 0.0)
    return (weights.unsqueeze(-1) * clean).sum(1), weights


class Gated(nn.Module):
    """A weighted sum whose weights depend on what the tokens say."""

    def __init__(self, modalities: int, dim: int) -> None:  # noqa: ARG002 - as all operators
        super().__init__()
        self.hidden = nn.Linear(dim, dim)
        self.score = nn.Linear(dim, 1, bias=False)

    def forward(self, tokens: torch.Tensor, present: torch.Tensor, quality: torch.Tensor) -> Fused:
        """Return v (B, D) and w (B, M)."""
        clean = torch.where(present.unsqueeze(-1), tokens, 0.0)
        logits = self.score(torch.tanh(self.hidden(clean))).squeeze(-1)
        return weighted_sum(logits, clean, present, quality)


class Product(nn.Module):
    """Elementwise product; one modality alone is passed on as it is. It has no parameters."""

    def __init__(self, modalities: int, dim: int) -> None:  # noqa: ARG002 - as all operators
        super().__init__()

    def forward(self, tokens: torch.Tensor, present: torch.Tensor, quality: torch.Tensor) -> Fused:
        """Return v (B, D) and w (B, M)."""
        scaled = kept(tokens, present, quality)
        return (1 + scaled).prod(1) - 1, shares(scaled.norm(dim=-1), present)


class ProductOfExperts(nn.Module):
    """Each modality says what it believes, and per coordinate how sure it is."""

    def __init__(self, modalities: int, dim: int) -> None:
        super().__init__()
        self.means = nn.Parameter(torch.eye(dim).repeat(modalities, 1, 1))  # A (M, D, D)
        self.precisions = nn.Parameter(torch.zeros(modalities, dim, dim))  # S (M, D, D)
        self.bias = nn.Parameter(torch.zeros(modalities, dim))  # s (M, D)

    def forward(self, tokens: torch.Tensor, present: torch.Tensor, quality: torch.Tensor) -> Fused:
        """Return v (B, D) and w (B, M)."""
        clean = torch.where(present.unsqueeze(-1), tokens, 0.0)
        means = torch.einsum("bmd,mod->bmo", clean, self.means)
        logs = torch.einsum("bmd,mod->bmo", clean, self.precisions) + self.bias
        bounded = logs.clamp(-_LOG_PRECISION, _LOG_PRECISION).exp()
        precisions = kept(bounded, present, quality)
        fused = (precisions * means).sum(1) / (1 + precisions.sum(1))
        return fused, shares(precisions.mean(-1), present)


class Adapter(nn.Module):
    """A bottleneck beside the frozen tokens, which lets each hear the others."""

    def __init__(self, modalities: int, dim: int) -> None:
        super().__init__()
        self.down = nn.Linear(2 * dim, max(1, dim // 8))
        self.up = nn.Linear(max(1, dim // 8), dim)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)
        self.sum = Weighted(modalities, dim)

    def forward(self, tokens: torch.Tensor, present: torch.Tensor, quality: torch.Tensor) -> Fused:
        """Return v (B, D) and w (B, M)."""
        clean = torch.where(present.unsqueeze(-1), tokens, 0.0)
        others = (present.sum(1, keepdim=True) - present.long()).clamp_min(1).unsqueeze(-1)
        context = (clean.sum(1, keepdim=True) - clean) / others
        heard = self.up(functional.gelu(self.down(torch.cat([clean, context], -1))))
        fused, weights = self.sum(clean + heard, present, quality)
        return fused, weights
