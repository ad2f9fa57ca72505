"""The model before training, and what decides what becomes of it."""

from __future__ import annotations

import torch

from worker.models.bundles.joint import Joint
from worker.models.weights import joint_digest
from worker.training.dataset import Dataset
from worker.training.settings import FitSettings


def make_model(data: Dataset, settings: FitSettings) -> Joint:
    """Return the model before training, with the means and scales of what is trained on."""
    torch.manual_seed(settings.seed)
    model = Joint(
        data.dims, settings.operator, settings.dim, len(data.classes), settings.agreement_dim
    )
    for place, name in enumerate(model.modalities):
        rows = data.z[name][data.present[:, place] & ~data.held_out]
        if len(rows):
            model.standardise(name).fit(rows)
    return model


def run_key(data: Dataset, settings: FitSettings) -> str:
    """Return a digest of what decides the outcome of a run."""
    return joint_digest("fit 2", settings.key(), data.digest())
