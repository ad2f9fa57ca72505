"""Bundles with random weights for the encoders that tests use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from worker.core.events import MODALITIES, Modality
from worker.models.base import Encoder
from worker.models.bundles.bundle import CARD, settling_files
from worker.models.bundles.joint import Joint
from worker.models.bundles.serving import made_by
from worker.models.bundles.settings import (
    Architecture,
    Calibration,
    Feature,
    Input,
    PairCalibration,
    Preprocessing,
)
from worker.models.bundles.storing import write_bundle

FEATURES: Mapping[Modality, Feature] = {
    Modality.FRAME: "frame_embedding",
    Modality.CAPTION: "text",
    Modality.AUDIO: "audio_embedding",
}


def random_bundle(
    place: Path,
    encoders: Mapping[Modality, Encoder],
    *,
    operator: str = "attention",
    modalities: Sequence[Modality] = MODALITIES,
    seed: int = 0,
) -> Path:
    """Write a bundle that was never trained; what it is made of decides its digest."""
    torch.manual_seed(seed)
    inputs = {}
    for each in modalities:
        name, digest = made_by(FEATURES[each], each, encoders)
        inputs[str(each)] = Input(
            feature=FEATURES[each], dim=encoders[each].dim, encoder=name, digest=digest
        )
    architecture = Architecture.model_validate(
        {"operator": operator, "dim": 16, "agreement_dim": 8, "classes": ("normal", "fire")}
    )
    dims = {each: encoders[each].dim for each in modalities}
    model = Joint(dims, operator, 16, 2, 8)
    usual = PairCalibration(centre=0.0, deviation=0.01, pairs=100, auroc=0.9)
    files = settling_files(
        model,
        architecture,
        Preprocessing(inputs=inputs, frames_per_moment=4, window_seconds=1, projection_seed=0),
        Calibration(temperature=1.0, agreement=dict.fromkeys(model.pairs, usual)),
    )
    write_bundle(place, {**files, CARD: b"# A bundle of random weights\n"})
    return place
