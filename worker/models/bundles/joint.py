"""All that is fitted, as one module: standardised inputs, fusion, agreement of pairs.

z'_m = (z_m - mean_m) / scale_m            mean (D_m,), scale a number: inputs of one camera are
                                           much alike, and what matters is how they differ
v, w, logits = fusion(z')                  `worker.models.fusion.model`
agreement of a pair = head(heads(z'_m, z'_n))     `worker.models.consistency.contrastive`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import nn

from worker.core.events import PAIRS, Modality
from worker.models.consistency.contrastive import DIM, AgreementHead, Heads
from worker.models.fusion.model import FusionModel


class Standardise(nn.Module):
    """(B, D) less the mean, over one scale; both are part of the state, and learned by `fit`."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(()))

    def fit(self, rows: torch.Tensor) -> None:
        """Take mean and root mean square deviation from rows (N, D), N >= 1."""
        self.mean.copy_(rows.mean(0))
        self.scale.copy_((rows - self.mean).square().mean().sqrt().clamp_min(1e-6))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return rows of the same shape."""
        standard: torch.Tensor = (rows - self.mean) / self.scale
        return standard


class Agreement(nn.Module):
    """The two heads of a pair and the decision.

    The decision sees sqrt(K) x and sqrt(K) y: rows whose coordinates are about 1, so that it learns
    at the pace of all else.
    """

    def __init__(self, first: int, second: int, dim: int) -> None:
        super().__init__()
        self.heads = Heads(first, second, dim)
        self.decide = AgreementHead(dim)

    def forward(self, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Return the logit (B,) that u (B, D_u) and v (B, D_v) belong together."""
        logit: torch.Tensor = self.decide(*self.common(u, v))
        return logit

    def common(self, u: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return sqrt(K) x and sqrt(K) y (B, K)."""
        x, y = self.heads(u, v)
        scale = x.shape[1] ** 0.5
        return x * scale, y * scale


class Joint(nn.Module):
    """Raises KeyError for an operator that there is not."""

    def __init__(
        self,
        dims: Mapping[Modality, int],
        operator: str,
        dim: int = 256,
        classes: int = 2,
        agreement_dim: int = DIM,
    ) -> None:
        super().__init__()
        self.modalities = tuple(dims)
        self.pairs = pairs_of(self.modalities)
        self.inputs = nn.ModuleDict({name: Standardise(size) for name, size in dims.items()})
        named = {str(each): size for each, size in dims.items()}
        self.fusion = FusionModel(named, operator, dim, classes)
        sizes = {pair: [dims[each] for each in PAIRS[pair]] for pair in self.pairs}
        self.agreement = nn.ModuleDict(
            {
                pair: Agreement(first, second, agreement_dim)
                for pair, (first, second) in sizes.items()
            }
        )

    def standardise(self, name: str) -> Standardise:
        """Return what brings the inputs of a modality to mean 0 and scale 1."""
        return cast(Standardise, self.inputs[name])

    def standardised(
        self, z: Mapping[str, torch.Tensor], present: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Return z'_m (B, D_m) of z_m; zeros where `present` (B, M) says that it is missing."""
        return {
            name: torch.where(present[:, [place]], self.inputs[name](z[name]), 0.0)
            for place, name in enumerate(self.modalities)
        }

    def agreeing(self, pair: str) -> Agreement:
        """Return what judges a pair."""
        return cast(Agreement, self.agreement[pair])

    def both(self, pair: str, present: torch.Tensor) -> torch.Tensor:
        """Return (B,): whether both modalities of a pair are there."""
        first, second = (self.modalities.index(each) for each in PAIRS[pair])
        return present[:, first] & present[:, second]


def pairs_of(modalities: Sequence[Modality]) -> tuple[str, ...]:
    """Return the names of the pairs among the modalities, in the order of PAIRS."""
    return tuple(name for name, pair in PAIRS.items() if set(pair) <= set(modalities))
