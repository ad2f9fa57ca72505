"""How much a caption sounds like danger: without training, by sentences to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.models.base import Encoder
from worker.models.weights import joint_digest

DANGEROUS = (
    "a fire with flames and smoke",
    "people are fighting",
    "a person with a knife or a gun",
    "a traffic accident",
    "an injured person lies on the ground",
    "people run away in panic",
    "an explosion",
    "a robbery or a burglary",
    "a flood",
    "someone is screaming for help",
)
ORDINARY = (
    "people walk by",
    "a person stands and waits",
    "an empty street",
    "parked cars",
    "people talk to each other",
    "a quiet place with nobody there",
    "a person works",
    "an animal or an object in a room",
    "a view of the area",
)


class DangerScale:
    """The sentences as vectors of one caption encoder. Immutable."""

    digest = joint_digest("danger 1", *DANGEROUS, "ordinary", *ORDINARY)

    def __init__(self, encoder: Encoder) -> None:
        self._dangerous = encoded(encoder, DANGEROUS)
        self._ordinary = encoded(encoder, ORDINARY)

    def margin(self, caption: NDArray[Any]) -> NDArray[np.float32]:
        """Return (1,): largest cosine to a dangerous sentence less that to an ordinary one."""
        vector = caption.astype(np.float32)
        margin = (self._dangerous @ vector).max() - (self._ordinary @ vector).max()
        return np.array([margin], np.float32)


def encoded(encoder: Encoder, sentences: Sequence[str]) -> NDArray[np.float32]:
    """Return the sentences as rows."""
    rows = [encoder.encode([sentence])[0] for sentence in sentences]  # one by one, as captions are
    return np.stack(rows).astype(np.float32)
