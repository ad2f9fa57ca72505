"""A bundle at work: fuses Moments and says how well their modalities agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from worker.core.events import MODALITIES, PAIRS, Modality
from worker.errors import OperatorError
from worker.models.base import Encoder
from worker.models.bundles.bundle import Bundle
from worker.models.bundles.inputs import EMBEDDINGS, embeddings, read_input
from worker.models.bundles.settings import Input
from worker.models.fusion.joining import Features, Joined, Vectors
from worker.models.logmel import LogMelEncoder

FARTHEST = 1000.0  # deviations; float16 holds no more than 65504


class Trained:
    """The fusion of a bundle. To be called by one thread at a time.

    Moments are fused one by one: a batch would round each by what stands beside it, and a Moment
    that is judged again after a crash must come out the same, bit for bit.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._model = bundle.model
        self.pairs = bundle.model.pairs
        self.dim = bundle.architecture.dim
        self.digest = bundle.digest

    def join(self, rows: Sequence[Vectors], features: Sequence[Features]) -> list[Joined]:
        """Return one result for each Moment; modalities that are missing are masked."""
        if torch.get_num_threads() != 1:  # of this thread; a Moment is too little to be shared out
            torch.set_num_threads(1)
        with torch.inference_mode():
            return [
                self._joined({**known, **embeddings(row)})
                for row, known in zip(rows, features, strict=True)
            ]

    def _joined(self, features: Features) -> Joined:
        inputs = self._bundle.preprocessing.inputs
        read = {each: read_input(features, inputs[each].feature) for each in self._model.modalities}
        z = {
            each: torch.from_numpy(np.zeros(inputs[each].dim, np.float32) if one is None else one)
            for each, one in read.items()
        }
        present = torch.tensor([[one is not None for one in read.values()]])
        standard = self._model.standardised({each: row[None] for each, row in z.items()}, present)
        output = self._model.fusion(standard, present)
        weights = dict(zip(self._model.modalities, output.weights[0].tolist(), strict=True))
        vector = _unit(output.fused[0].numpy()) if present.any() else np.zeros(self.dim, np.float32)
        return Joined(
            vector=vector,
            weights={each: weights.get(each, 0.0) for each in MODALITIES},
            agreement=self._agreement(standard, present),
        )

    def _agreement(
        self, standard: Mapping[str, torch.Tensor], present: torch.Tensor
    ) -> dict[str, float]:
        """Return in how many deviations a pair agrees better than others that were held out."""
        found = {}
        for pair in self.pairs:
            if self._model.both(pair, present):
                first, second = PAIRS[pair]
                logit = float(self._model.agreement[pair](standard[first], standard[second]))
                usual = self._bundle.calibration.agreement[pair]
                standing = (logit - usual.centre) / usual.deviation
                found[pair] = min(max(standing, -FARTHEST), FARTHEST)
        return found


def check_encoders(bundle: Bundle, encoders: Mapping[Modality, Encoder], seed: int) -> None:
    """Raise OperatorError where the vectors would not be those that the bundle was fitted on."""
    for modality in bundle.modalities:
        given = bundle.preprocessing.inputs[modality]
        name, digest = made_by(given.feature, modality, encoders)
        if digest != given.digest:
            raise OperatorError(
                f"{bundle.place} was fitted on {modality} vectors of {given.encoder}"
                f" ({given.digest[:12]}), and models.{modality} is {name} ({digest[:12]}): set the"
                " one that it was fitted with, or fit a bundle for this one."
            )
        _check_shape(bundle, modality, given, encoders[modality])
    check_projection(bundle, seed)


def check_projection(bundle: Bundle, seed: int) -> None:
    """Raise OperatorError where frames would not be projected as those it was fitted on."""
    if any(each.feature == "visual" for each in bundle.preprocessing.inputs.values()):
        fitted = bundle.preprocessing.projection_seed
        if fitted != seed:
            raise OperatorError(
                f"{bundle.place} was fitted with scoring.seed {fitted}, which decides how frames"
                f" are projected, not with {seed}: set it to {fitted}."
            )


def check_live(bundle: Bundle, encoders: Mapping[Modality, Encoder]) -> None:
    """Raise OperatorError where a bundle in shadow has encoders that are not the live ones."""
    inputs = bundle.preprocessing.inputs
    own = [
        modality
        for modality in bundle.modalities
        if inputs[modality].tuned and inputs[modality].digest != encoders[modality].digest
    ]
    if own:
        raise OperatorError(
            f"{bundle.place} has encoders of its own ({', '.join(own)}), and a bundle in shadow"
            " looks at what the live ones make of a Moment: fit it without tuning, or run it in a"
            " group of its own."
        )


def made_by(
    feature: str, modality: Modality, encoders: Mapping[Modality, Encoder]
) -> tuple[str, str]:
    """Return name and digest of what makes a feature."""
    if feature == "audio_windows":
        return LogMelEncoder.name, LogMelEncoder.digest
    return encoders[modality].name, encoders[modality].digest


def _check_shape(bundle: Bundle, modality: Modality, given: Input, encoder: Encoder) -> None:
    is_embedding = given.feature in {*EMBEDDINGS.values(), "text"}
    if is_embedding and given.dim != encoder.dim:
        raise OperatorError(
            f"{bundle.place} takes {modality} vectors of length {given.dim}, and those of"
            f" {encoder.name} have {encoder.dim}: it is no bundle of this worker."
        )


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = vector / max(float(np.linalg.norm(vector)), 1e-6)
    return unit.astype(np.float32, copy=False)
