"""Encoders by name: those that ship with the worker, families of weights on disk, one's own.

A distribution offers an encoder of its own by an entry point of the group
`multimodal_worker.encoders`: the entry's name is the encoder's, its object takes ModelSettings and
returns an Encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import NamedTuple

from worker.core.events import Modality
from worker.errors import OperatorError
from worker.models.base import Encoder
from worker.models.logmel import LogMelEncoder
from worker.models.names import Name, parse
from worker.models.settings import ModelSettings
from worker.models.shipped import EfficientNetLite0Encoder, MiniLMEncoder

ENTRY_POINTS = "multimodal_worker.encoders"


class Entry(NamedTuple):
    """What a name stands for."""

    modality: Modality
    build: Callable[[ModelSettings], Encoder]


ENCODERS: Mapping[str, Entry] = {
    "efficientnet_lite0": Entry(Modality.FRAME, EfficientNetLite0Encoder),
    "minilm": Entry(Modality.CAPTION, MiniLMEncoder),
    "logmel": Entry(Modality.AUDIO, lambda _: LogMelEncoder()),
}

DEFAULTS: Mapping[Modality, str] = {
    Modality.FRAME: "efficientnet_lite0",
    Modality.CAPTION: "minilm",
    Modality.AUDIO: "logmel",
}

# What can be brought along, by modality, as an operator would write it.
FORMS: Mapping[Modality, str] = {
    Modality.FRAME: "efficientnet_lite0:FILE, torchvision:MODEL:FILE, transformers:DIRECTORY",
    Modality.CAPTION: "transformers:DIRECTORY",
    Modality.AUDIO: "torchaudio:MODEL:FILE, transformers:DIRECTORY",
}


def build(text: str, modality: Modality, settings: ModelSettings, pinned: str = "") -> Encoder:
    """Return the encoder, loaded and ready; the first time on a machine this measures for seconds.

    Raises OperatorError for a name that is not known for the modality, bad weights, or a digest
    that does not begin with `pinned`.
    """
    name = parse(text)
    encoder = _built(name, modality, settings)
    if encoder is None:
        raise OperatorError(f"models.{modality} is {text!r}: set it to one of {_known(modality)}.")
    if not encoder.digest.startswith(pinned):
        raise OperatorError(
            f"models.{modality}_digest is {pinned} but that of {text} is {encoder.digest}: these"
            " are not the weights or files that were pinned."
        )
    return encoder


def _built(name: Name, modality: Modality, settings: ModelSettings) -> Encoder | None:
    """Return the encoder; None where the name means nothing for this modality."""
    match name.family, modality:
        case "torchvision", Modality.FRAME:
            from worker.models.families.from_torchvision import build_frame_encoder

            return build_frame_encoder(name, settings)
        case "efficientnet_lite0", Modality.FRAME if name.location:
            from worker.models.families import from_efficientnet

            return from_efficientnet.build_frame_encoder(name, settings)
        case "torchaudio", Modality.AUDIO:
            from worker.models.families.from_torchaudio import build_clip_encoder

            return build_clip_encoder(name, settings)
        case "transformers", _:
            from worker.models.families.from_transformers import build_encoder

            return build_encoder(name, modality, settings)
    entry = ENCODERS.get(name.text)
    if entry is not None:
        return entry.build(settings) if entry.modality is modality else None
    return _own(name.text, modality, settings)


def _own(name: str, modality: Modality, settings: ModelSettings) -> Encoder | None:
    """Return what an installed distribution offers under the name."""
    for point in entry_points(group=ENTRY_POINTS, name=name):
        try:
            encoder: Encoder = point.load()(settings)
        except OperatorError:
            raise
        except Exception as error:  # foreign code: whatever it raises, it is of no use here
            raise OperatorError(f"the encoder {name} ({point.value}) failed: {error!r}.") from error
        return encoder if encoder.modality is modality else None
    return None


def _known(modality: Modality) -> str:
    own = sorted(point.name for point in entry_points(group=ENTRY_POINTS))
    shipped = [name for name, entry in ENCODERS.items() if entry.modality is modality]
    return ", ".join([*shipped, FORMS[modality], *own])
