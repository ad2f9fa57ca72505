"""On-the-fly gradient modulation (OGM-GE; Peng et al., CVPR 2022): no modality outruns the others.

    s_m   = sum over rows of softmax(unimodal logits of m) at the row's class
    rho_m = s_m / mean of s_k over the other modalities
    k_m   = 1 - tanh(alpha rho_m) where rho_m > 1, else 1
    g    <- k_m g + N(0, std(g)^2)              g: gradient of each parameter of the tokens of m

Rows count that have a label and all modalities, so that what is compared saw the same.
"""

from __future__ import annotations

import torch

from worker.models.bundles.joint import Joint
from worker.training.dataset import UNLABELLED, Dataset
from worker.training.losses import named

ALPHA = 0.3


def coefficients(model: Joint, batch: Dataset) -> torch.Tensor:
    """Return k (M,); ones where there is nothing to compare."""
    rows = batch.rows((batch.present.all(1) & (batch.label != UNLABELLED)).nonzero().squeeze(1))
    count = len(model.modalities)
    if not len(rows) or count < 2:
        return torch.ones(count)
    with torch.no_grad():
        z = model.standardised(named(rows), rows.present)
        logits = model.fusion.alone(model.fusion.tokens_of(z, rows.present), rows.present)
        right = logits.softmax(2)[torch.arange(len(rows)), :, rows.label].sum(0)
    ratio = right * (count - 1) / (right.sum() - right).clamp_min(1e-6)
    return torch.where(ratio > 1, 1 - torch.tanh(ALPHA * ratio), 1.0)


def modulate(model: Joint, batch: Dataset, draws: torch.Generator) -> None:
    """Change the gradients of the tokens by those of a batch."""
    for name, factor in zip(model.modalities, coefficients(model, batch).tolist(), strict=True):
        for parameter in model.fusion.tokens[name].parameters():
            if parameter.grad is not None and parameter.numel() > 1:
                noise = torch.randn(parameter.shape, generator=draws) * parameter.grad.std()
                parameter.grad.mul_(factor).add_(noise)
