"""A bundle in memory: what was fitted, and how to make a directory of it and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError

from worker.core.events import MODALITIES, Modality
from worker.errors import OperatorError
from worker.models.bundles.joint import Joint
from worker.models.bundles.manifest import Files, names_below, read_files
from worker.models.bundles.settings import (
    Architecture,
    Calibration,
    Preprocessing,
    read_part,
    written,
)
from worker.models.families.files import Weights, load_into
from worker.models.names import tuned

CONFIG, PREPROCESSING, CALIBRATION = "config.json", "preprocessing.json", "calibration.json"
MODEL, CARD = "model.safetensors", "MODEL_CARD.md"


@dataclass(frozen=True, slots=True)
class Bundle:
    """`place` and `digest` are those of the directory that it was read from."""

    place: Path
    digest: str
    architecture: Architecture
    preprocessing: Preprocessing
    calibration: Calibration
    model: Joint
    card: str
    files: tuple[str, ...]

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """What it was fitted for, in their order."""
        return self.model.modalities

    def tuned_encoder(self, modality: Modality) -> str | None:
        """Return the name of the tuned encoder of a modality; None where it was not tuned."""
        given = self.preprocessing.inputs.get(modality)
        if given is None or not given.tuned:
            return None
        return tuned(given.encoder, (self.place / directory_of(modality)).resolve())


def directory_of(modality: Modality) -> str:
    """Return the directory of a tuned encoder in a bundle."""
    return f"encoders/{modality}"


def settling_files(
    model: Joint, architecture: Architecture, preprocessing: Preprocessing, calibration: Calibration
) -> dict[str, bytes]:
    """Return the files that decide what comes out, but for tuned encoders."""
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    return {
        CONFIG: written(architecture),
        PREPROCESSING: written(preprocessing),
        CALIBRATION: written(calibration),
        MODEL: safetensors.torch.save(state),
    }


def open_bundle(
    place: Path,
    awaited: Iterable[Modality] = (),
    pinned: str = "",
    setting: str = "models.bundle_digest",
) -> Bundle:
    """Read a bundle. Raises OperatorError, one sentence, for one that cannot be used here.

    That is one that is not whole or of a newer version, one for other modalities than this worker
    has, or that it awaits, and one whose digest does not begin with `pinned`, as the `setting`
    says.
    """
    files = read_files(place)
    if not files.digest.startswith(pinned):
        raise OperatorError(
            f"{setting} is {pinned} but that of {place} is {files.digest}: this is not"
            " the bundle that was pinned."
        )
    preprocessing = read_part(files, PREPROCESSING, Preprocessing)
    architecture = read_part(files, CONFIG, Architecture)
    calibration = read_part(files, CALIBRATION, Calibration)
    dims = _dims(place, preprocessing, awaited)
    model = Joint(
        dims,
        architecture.operator,
        architecture.dim,
        len(architecture.classes),
        architecture.agreement_dim,
    )
    if set(calibration.agreement) != set(model.pairs):
        raise OperatorError(f"{place / CALIBRATION} must have the pairs {', '.join(model.pairs)}.")
    load_into(model, Weights(_state(files), ""), str(place / MODEL))
    _check_tuned(files, preprocessing)
    return Bundle(
        place=place,
        digest=files.digest,
        architecture=architecture,
        preprocessing=preprocessing,
        calibration=calibration,
        model=model.eval(),
        card=files.bytes(CARD).decode("utf-8", "replace"),
        files=tuple(sorted(files.contents)),
    )


def _dims(
    place: Path, preprocessing: Preprocessing, awaited: Iterable[Modality]
) -> dict[Modality, int]:
    """Return the dimensions by modality, in their order."""
    given = preprocessing.inputs
    unknown = sorted(given.keys() - set(MODALITIES))
    if unknown:
        raise OperatorError(
            f"{place} is for other modalities ({', '.join(unknown)}): this worker has"
            f" {', '.join(MODALITIES)}."
        )
    lacking = [modality for modality in awaited if modality not in given]
    if lacking:
        raise OperatorError(
            f"{place} was fitted without {' and '.join(lacking)}, which pairing.await has: set it"
            " to what your sources send, or fit a bundle for that."
        )
    return {each: given[each].dim for each in MODALITIES if each in given}


def _state(files: Files) -> Mapping[str, torch.Tensor]:
    try:
        return safetensors.torch.load(files.bytes(MODEL))
    except SafetensorError as error:
        raise OperatorError(f"{files.place / MODEL} is no safetensors file: {error}.") from None


def _check_tuned(files: Files, preprocessing: Preprocessing) -> None:
    for modality, given in preprocessing.inputs.items():
        directory = directory_of(Modality(modality))
        if given.tuned and not names_below(files.contents, directory):
            raise OperatorError(f"{files.place} lacks {directory}: it is no whole bundle.")
