"""Encoders by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from worker.core.events import Modality
from worker.errors import OperatorError
from worker.models.base import Encoder
from worker.models.efficientnet_lite import EfficientNetLite0Encoder
from worker.models.logmel import LogMelEncoder
from worker.models.minilm import MiniLMEncoder
from worker.models.settings import ModelSettings


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


def build(name: str, modality: Modality, settings: ModelSettings) -> Encoder:
    """Return the encoder, loaded and ready; the first time on a machine this measures for seconds.

    Raises OperatorError for a name that is not known for the modality, or bad weights.
    """
    entry = ENCODERS.get(name)
    if entry is None or entry.modality is not modality:
        known = ", ".join(each for each, one in ENCODERS.items() if one.modality is modality)
        raise OperatorError(f"models.{modality} is {name!r}: set it to one of {known}.")
    return entry.build(settings)
