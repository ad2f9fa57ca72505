"""From what a Moment has to one vector: the step that a bundle replaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from worker.core.events import MODALITIES, Modality
from worker.models.fusion.untrained import Fusion

Vectors = Mapping[Modality, NDArray[np.float32]]  # unit vectors (D_m,) of what is there
Features = Mapping[str, NDArray[Any]]  # float16, as Observations have them


@dataclass(frozen=True, slots=True)
class Joined:
    """One Moment: a float32 unit vector (D,), zeros where nothing is there, and what it is from.

    `agreement` by pair, higher where the two fit together; only pairs of which both are there.
    """

    vector: NDArray[np.float32]
    weights: Mapping[Modality, float]
    agreement: Mapping[str, float] = field(default_factory=dict)


class Joining(Protocol):
    """Fuses Moments. A Moment's result does not depend on those beside it."""

    @property
    def dim(self) -> int:
        """The length of a vector."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of what was trained; empty where nothing was."""

    @property
    def pairs(self) -> tuple[str, ...]:
        """The pairs whose agreement is measured."""

    def join(self, rows: Sequence[Vectors], features: Sequence[Features]) -> list[Joined]:
        """Return one result for each Moment."""


def mean_direction(vectors: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    """Return the unit vector (D,) along the mean of one or more vectors."""
    mean = np.mean([vector.astype(np.float32) for vector in vectors], axis=0)
    direction: NDArray[np.float32] = mean / max(float(np.linalg.norm(mean)), 1e-6)
    return direction


class Untrained:
    """The fixed fusion of `worker.models.fusion.untrained`, which says nothing of agreement."""

    digest = ""
    pairs = ()

    def __init__(self, dims: Mapping[Modality, int], seed: int) -> None:
        self._dims = dims
        self._fusion = Fusion(dims, seed=seed)
        self.dim = self._fusion.dim

    def join(self, rows: Sequence[Vectors], features: Sequence[Features]) -> list[Joined]:  # noqa: ARG002 - as a bundle
        """Return one result for each Moment."""
        stacked = {
            modality: np.stack([row.get(modality, np.zeros(dim, np.float32)) for row in rows])
            for modality, dim in self._dims.items()
        }
        present = np.array([[modality in row for modality in MODALITIES] for row in rows])
        fused, weights = self._fusion.forward(stacked, present)
        return [
            Joined(vector, dict(zip(MODALITIES, map(float, weight), strict=True)))
            for vector, weight in zip(fused, weights, strict=True)
        ]
