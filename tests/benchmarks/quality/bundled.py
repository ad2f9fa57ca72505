"""With a bundle that is fitted on the normal beginning of the same streams: what agreement adds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tests.benchmarks.quality.features import Encoded
from tests.benchmarks.quality.incidents import WARM_UP
from tests.benchmarks.quality.material import Array
from tests.benchmarks.quality.stream import START
from worker.core.rfc3339 import seconds
from worker.models.bundles.bundle import Bundle
from worker.models.bundles.inputs import SOURCES, read_input
from worker.models.bundles.serving import Trained
from worker.models.bundles.settings import Architecture, Preprocessing
from worker.models.fusion import orthonormal_rows
from worker.scoring.experts import FUSED_DIM, agreement_feature
from worker.training.checkpoint import Checkpoint
from worker.training.dataset import Dataset, Row, assemble
from worker.training.fit import Fitted, fit
from worker.training.loop import Training
from worker.training.model import make_model, run_key
from worker.training.settings import FitSettings

SETTINGS = FitSettings(operator="weighted", dim=128, agreement_dim=64, epochs=20, patience=5)


def fitted_on(streams: Sequence[Encoded]) -> Trained:
    """Return the fusion of a bundle that is fitted on the warm-up of all streams, unlabelled."""
    data = assemble([row for each in streams for row in _rows(each)])
    with TemporaryDirectory() as place:
        checkpoint = Checkpoint(Path(place), run_key(data, SETTINGS))
        model = make_model(data, SETTINGS)
        return Trained(_bundle(fit(Training(model, data, SETTINGS, checkpoint)), data))


def joined_by(trained: Trained, encoded: Encoded) -> Encoded:
    """Return a stream as it is with the bundle: another fused vector, and agreement by pair."""
    compact = orthonormal_rows(FUSED_DIM, trained.dim, seed=0)
    features = [encoded.at(number) for number in range(len(encoded))]
    joined = trained.join([{}] * len(features), features)
    found = {"fused": np.stack([compact @ each.vector for each in joined]).astype(np.float16)}
    for pair in trained.pairs:
        column = np.array([[each.agreement[pair]] for each in joined], np.float16)
        found[agreement_feature(pair)] = column
    return replace(encoded, arrays={**encoded.arrays, **found})


def _rows(encoded: Encoded) -> Iterator[Row]:
    for number in range(WARM_UP):
        start = START + seconds(number)
        inputs = _inputs(encoded.at(number))
        yield Row(encoded.stream.source, start, start + seconds(1), inputs)


def _inputs(features: Mapping[str, Array]) -> dict[str, Array]:
    names = (name for sources in SOURCES.values() for name in sources)
    read = {name: read_input(features, name) for name in names}
    return {name: value for name, value in read.items() if value is not None}


def _bundle(fitted: Fitted, data: Dataset) -> Bundle:
    """Return it as it would be read from a directory."""
    made_by = {"encoder": "", "digest": ""}
    inputs = {
        str(modality): {"feature": name, "dim": data.dims[modality], **made_by}
        for modality, name in data.features.items()
    }
    return Bundle(
        place=Path(),
        digest="",
        architecture=Architecture(
            operator="weighted",
            dim=SETTINGS.dim,
            agreement_dim=SETTINGS.agreement_dim,
            classes=data.classes,
        ),
        preprocessing=Preprocessing.model_validate(
            {
                "inputs": inputs,
                "frames_per_moment": 1,
                "window_seconds": 1.0,
                "projection_seed": 0,
            }
        ),
        calibration=fitted.measures.calibration,
        model=fitted.model,
        card="",
        files=(),
    )
