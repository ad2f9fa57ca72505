"""The JSON files of a bundle: configuration, preprocessing, calibration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from worker.errors import OperatorError
from worker.models.bundles.manifest import Files
from worker.models.fusion.attention import HEADS

Size = Annotated[int, Field(ge=1, le=65_536)]
Feature = Literal["frame_embedding", "visual", "text", "audio_embedding", "audio_windows"]


class Part(BaseModel):
    """Immutable; a field that is not known is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Input(Part):
    """What of a Moment goes in for one modality: a feature of Observations, and who made it.

    `encoder` and its `digest` are those of the vectors; `encoders/MODALITY` is in the bundle where
    the encoder was `tuned`.
    """

    feature: Feature
    dim: Size
    encoder: str
    digest: str
    tuned: bool = False


class Preprocessing(Part):
    """Inputs by modality. `projection_seed` is that of `visual`, which is a random projection."""

    inputs: Mapping[str, Input] = Field(min_length=1)
    frames_per_moment: Size
    window_seconds: float
    projection_seed: int


class Architecture(Part):
    """What `worker.models.bundles.joint` is made with; the first of the classes is normal."""

    operator: Literal["concat", "weighted", "gated", "product", "attention", "poe", "adapter"]
    dim: Annotated[int, Field(ge=HEADS, le=8192, multiple_of=HEADS)]
    agreement_dim: Size
    classes: Annotated[tuple[str, ...], Field(min_length=2)]


class PairCalibration(Part):
    """Logits of true pairs that were held out: centre and deviation, how many, and AUROC.

    The AUROC is against other partners of the same pairs; None where too few were held out.
    """

    centre: float
    deviation: Annotated[float, Field(gt=0)]
    pairs: int
    auroc: float | None


class Calibration(Part):
    """By pair; `temperature` divides the logits of the classes."""

    temperature: Annotated[float, Field(gt=0)]
    agreement: Mapping[str, PairCalibration]


Read = TypeVar("Read", bound=Part)


def read_part(files: Files, name: str, kind: type[Read]) -> Read:
    """Return the part in a file of a bundle. Raises OperatorError, one sentence."""
    try:
        return kind.model_validate(files.json(name))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise OperatorError(f"{files.place / name}: {where}: {first['msg']}.") from None


def written(part: Part) -> bytes:
    """Return the file of a part."""
    return part.model_dump_json(indent=2).encode() + b"\n"
