"""How near a vector is to a watch phrase, compared with ordinary sentences: zero-shot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.core.events import MODALITIES, Modality
from worker.core.triggers import Trigger
from worker.models.base import Encoder
from worker.models.danger import ORDINARY, encoded
from worker.models.weights import joint_digest

_UNNAMED = "transformers:"  # names that say which model it is: a directory, or one of a hub


def watchable(encoders: Mapping[Modality, Encoder]) -> tuple[Modality, ...]:
    """Return the modalities in which phrases can be looked for.

    Captions always; others where their encoder is another tower of the very model of the captions,
    as with CLIP, SigLIP and CLAP: then vectors of equal meaning are near each other.
    """
    text = encoders[Modality.CAPTION]
    return tuple(
        modality
        for modality in MODALITIES
        if modality is Modality.CAPTION or _shares_space(encoders[modality], text)
    )


def _shares_space(encoder: Encoder, text: Encoder) -> bool:
    is_model = text.name.startswith(_UNNAMED)
    return is_model and encoder.name == text.name and encoder.dim == text.dim


class Watch:
    """The phrases as vectors of the caption encoder. Immutable."""

    def __init__(self, triggers: Sequence[Trigger], encoders: Mapping[Modality, Encoder]) -> None:
        self.modalities = watchable(encoders) if triggers else ()
        self.digest = joint_digest(*(f"{each.name}={each.text}" for each in triggers), *ORDINARY)
        self.triggers = tuple(triggers)
        if triggers:
            text = encoders[Modality.CAPTION]
            self._phrases = encoded(text, [each.text for each in triggers])
            self._ordinary = encoded(text, ORDINARY)

    def margins(
        self, source: str, modality: Modality, vector: NDArray[Any]
    ) -> dict[str, NDArray[np.float32]]:
        """Return a feature (1,) for each phrase that is watched for in a source.

        It is the cosine of the unit `vector` to the phrase, less the largest one to an ordinary
        sentence, in [-2, 2].
        """
        if modality not in self.modalities:
            return {}
        exact = vector.astype(np.float32)
        ordinary = (self._ordinary @ exact).max()
        return {
            trigger.expert(modality): np.array([phrase @ exact - ordinary], np.float32)
            for trigger, phrase in zip(self.triggers, self._phrases, strict=True)
            if trigger.sources.match(source)
        }
