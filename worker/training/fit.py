"""From a data set to the files of a bundle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from worker.core.events import Modality
from worker.models.bundles.bundle import CARD, settling_files
from worker.models.bundles.joint import Joint
from worker.models.bundles.settings import Architecture, Input, Preprocessing
from worker.training.card import write_card
from worker.training.checkpoint import Checkpoint
from worker.training.dataset import Dataset
from worker.training.loop import Training
from worker.training.measures import Measures, measure
from worker.training.page import render
from worker.training.settings import FitSettings
from worker.training.tensorboard import events
from worker.training.tuning import Tuned

PAGE, HISTORY = "fit.html", "history.json"
CURVES = "events.out.tfevents.0.fit"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model with all that is told of it. `history` has an entry per epoch.

    `tuned` are the encoders that were trained before.
    """

    model: Joint
    data: Dataset
    settings: FitSettings
    measures: Measures
    history: list[dict[str, Any]]
    tuned: Mapping[Modality, Tuned] = field(default_factory=dict)


def fit(training: Training, checkpoint: Checkpoint | None = None) -> Fitted:
    """Train, from a checkpoint on where one is given, and measure. Raises as `Training.run`."""
    standing = None if checkpoint is None else checkpoint.read()
    history = training.run(standing)
    model = training.model.eval()
    measures = measure(model, training.data, training.settings.seed)
    return Fitted(model, training.data, training.settings, measures, history)


def bundle_files(
    fitted: Fitted,
    inputs: Mapping[Modality, Input],
    *,
    frames_per_moment: int,
    window_seconds: float,
    projection_seed: int,
    origin: str,
) -> dict[str, bytes]:
    """Return the files of the bundle by name; `origin` says for people where the data are from."""
    architecture = Architecture.model_validate(
        {
            "operator": fitted.settings.operator,
            "dim": fitted.settings.dim,
            "agreement_dim": fitted.settings.agreement_dim,
            "classes": fitted.data.classes,
        }
    )
    preprocessing = Preprocessing(
        inputs={str(modality): given for modality, given in inputs.items()},
        frames_per_moment=frames_per_moment,
        window_seconds=window_seconds,
        projection_seed=projection_seed,
    )
    calibration = fitted.measures.calibration
    told = {
        CARD: write_card(
            fitted.data, fitted.settings, fitted.measures, inputs, origin, fitted.tuned
        ).encode(),
        PAGE: render(fitted.data, fitted.measures, fitted.history, origin).encode(),
        CURVES: events(fitted.history),
        HISTORY: json.dumps(
            {
                "settings": asdict(fitted.settings),
                "epochs": fitted.history,
                "reliability": {
                    name: asdict(each) for name, each in fitted.measures.reliability.items()
                },
                "confusion": fitted.measures.confusion,
                "tuning": {
                    modality: {
                        "way": each.way,
                        "parameters": each.parameters,
                        "zeros": each.zeros,
                        "losses": each.losses,
                    }
                    for modality, each in fitted.tuned.items()
                },
            },
            indent=1,
        ).encode(),
    }
    return settling_files(fitted.model, architecture, preprocessing, calibration) | told
