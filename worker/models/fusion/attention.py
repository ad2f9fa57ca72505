"""Multimodal attention: learned latents look at the tokens of the present modalities.

Latents L (K, D), tokens t (B, M, D) and one learned token that is always there, so that a Moment
without any modality has something to look at. Per block, pre-norm (Xiong et al., 2020):

    L <- L + O softmax(Q K^T / sqrt(D / H) + log q) V     Q of LN(L), K and V of LN(tokens), H heads
    L <- L + W_2 gelu(W_1 LN(L))                          W_1 (4 D, D)

v = LN(mean of L); w_m is the attention that modality m gets in the last block, averaged over heads
and latents, as shares of 1 among the present. After Jaegle et al., Perceiver (ICML 2021).
"""

from __future__ import annotations

import torch
from torch import nn

from worker.models.fusion.operators import Fused, shares

LATENTS, BLOCKS, HEADS = 8, 2, 4


class Block(nn.Module):
    """Cross-attention and a feed-forward layer, each with a residual."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.latent_norm, self.token_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = nn.MultiheadAttention(dim, HEADS, batch_first=True)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim)
        )

    def forward(self, latents: torch.Tensor, tokens: torch.Tensor, bias: torch.Tensor) -> Fused:
        """Return the latents (B, K, D) and where they looked (B, K, T); bias is (B H, K, T)."""
        known = self.token_norm(tokens)
        heard, looked = self.attention(self.latent_norm(latents), known, known, attn_mask=bias)
        latents = latents + heard
        return latents + self.feed_forward(latents), looked


class Attention(nn.Module):
    """1.8 million parameters at D = 256. D must be a multiple of the heads."""

    def __init__(self, modalities: int, dim: int) -> None:  # noqa: ARG002 - as all operators
        super().__init__()
        self.latents = nn.Parameter(torch.randn(LATENTS, dim) * dim**-0.5)
        self.always = nn.Parameter(torch.zeros(1, dim))
        self.blocks = nn.ModuleList(Block(dim) for _ in range(BLOCKS))
        self.norm = nn.LayerNorm(dim)

    def forward(self, tokens: torch.Tensor, present: torch.Tensor, quality: torch.Tensor) -> Fused:
        """Return v (B, D) and w (B, M)."""
        size = present.shape[0]
        clean = torch.where(present.unsqueeze(-1), tokens, 0.0)
        keys = torch.cat([self.always.expand(size, 1, -1), clean], 1)
        latents = self.latents.expand(size, -1, -1)
        bias, looked = _bias(present, quality), quality
        for block in self.blocks:
            latents, looked = block(latents, keys, bias)
        fused: torch.Tensor = self.norm(latents.mean(1))
        return fused, shares(looked.mean(1)[:, 1:], present)


def _bias(present: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
    """Return log q, minus infinity where missing, 0 for the token that is always there."""
    logs = quality.clamp_min(1e-6).log().masked_fill(~present, -torch.inf)
    row = torch.cat([torch.zeros_like(logs[:, :1]), logs], 1)
    return row[:, None, :].repeat_interleave(HEADS, 0).expand(-1, LATENTS, -1)
