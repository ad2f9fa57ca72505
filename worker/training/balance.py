"""How much of what is fused comes from each modality."""

from __future__ import annotations

import torch
from torch.nn import functional

from worker.models.bundles.joint import Joint
from worker.training.dataset import Dataset
from worker.training.losses import named


def contributions(model: Joint, data: Dataset) -> dict[str, float]:
    """Return per modality 1 - the mean cosine of the fused vector with the one without it.

    In [0, 2]; over the Moments that have it and another one. 0: it makes no difference.
    """
    model.eval()
    found = {}
    with torch.no_grad():
        z = model.standardised(named(data), data.present)
        whole = model.fusion(z, data.present).fused
        for place, name in enumerate(model.modalities):
            without = data.present.clone()
            without[:, place] = False
            rows = data.present[:, place] & without.any(1)
            less = model.fusion(z, without).fused
            cosines = functional.cosine_similarity(whole[rows], less[rows])
            found[str(name)] = float(1 - cosines.mean()) if len(cosines) else 0.0
    return found
