"""Made-up streams whose modalities tell of the same hidden state."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from worker.training.checkpoint import Checkpoint
from worker.training.dataset import Dataset, Row, assemble
from worker.training.loop import Training
from worker.training.model import make_model, run_key
from worker.training.settings import FitSettings

SECOND = 1_000_000
DIMS = {"frame_embedding": 24, "text": 16, "audio_embedding": 12}
SMALL = FitSettings(dim=16, agreement_dim=16, epochs=12, batch_size=32, learning_rate=5e-3)


def rows(
    moments: int = 60,
    sources: int = 3,
    *,
    features: tuple[str, ...] = tuple(DIMS),
    missing: float = 0.1,
    noise: float = 0.1,
) -> list[Row]:
    """Return Moments of a state of 4 numbers, seen by each modality in a way of its own."""
    draws = np.random.default_rng(7)
    views = {name: draws.standard_normal((4, size)) for name, size in DIMS.items()}
    found = []
    for moment in range(moments):
        for source in range(sources):
            state = draws.standard_normal(4)
            inputs = {
                name: (state @ views[name] + noise * draws.standard_normal(DIMS[name]) + 3).astype(
                    np.float32
                )
                for name in features
                if draws.random() >= missing
            }
            start = moment * SECOND
            found.append(Row(f"/cameras/{source}", start, start + SECOND, inputs))
    return found


def labels(found: list[Row]) -> list[str | None]:
    """Call a Moment a fire by its picture where there is one; half of all are not labelled."""
    told: list[str | None] = []
    for place, row in enumerate(found):
        picture = row.inputs.get("frame_embedding")
        if place % 2 or picture is None:
            told.append(None)
        else:
            told.append("fire" if picture[0] > 3 else "normal")
    return told


def training(
    directory: Path,
    data: Dataset | None = None,
    settings: FitSettings = SMALL,
    between: float = 3600,
) -> Training:
    """Return a run that writes a checkpoint every `between` seconds, and after each stage."""
    torch.set_num_threads(1)
    used = assemble(rows()) if data is None else data
    directory.mkdir(parents=True, exist_ok=True)
    checkpoint = Checkpoint(directory, run_key(used, settings))
    return Training(make_model(used, settings), used, settings, checkpoint, between=between)
