"""What an encoder is, and the form of what it returns."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from worker.core.events import Modality

Embeddings = NDArray[np.float16]


class EncoderError(Exception):
    """An encoder gave something that is not an embedding. `reason` is of low cardinality."""

    retriable = False

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Encoder(Protocol):
    """Media of one modality -> unit vectors. To be called by one thread at a time."""

    @property
    def name(self) -> str:
        """The name in the registry."""

    @property
    def modality(self) -> Modality:
        """What it encodes."""

    @property
    def dim(self) -> int:
        """The length of a vector."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of weights and preprocessing: equal digests mean comparable vectors.

        The batch size, and a runtime and dtype that were measured at start, are not in it; they
        move a vector by a cosine of at most 0.001 (see `worker.models.tuning`).
        """

    @property
    def input_size(self) -> int:
        """The side in pixels of the square that a frame has to be; 0 for other modalities."""

    def encode(self, batch: Any) -> Embeddings:
        """Return float16 (B, dim), B >= 0: unit rows in the order of the batch.

        A batch is, by modality, uint8 RGB (B, S, S, 3), S = `input_size`; a list of texts; a list
        of float32 mono 16 kHz arrays, each (N,), N >= 1. The rows are rounded to float16 here, so
        that a value from a cache equals a fresh one. Raises EncoderError.
        """


class SpeechToText(Protocol):
    """What is said in a clip: float32 mono 16 kHz, (N,), N >= 1. Each is looked at by itself."""

    @property
    def name(self) -> str:
        """The name in the configuration."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of weights and rules: equal digests mean equal texts of equal clips."""

    def spoken(self, clip: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Return the part of the clip that holds speech; None where none does.

        May be called from several threads, and costs little.
        """

    def text(self, speech: NDArray[np.float32]) -> str:
        """Return what is said on one line, empty where nothing is understood.

        To be called by one thread at a time. May raise whatever the recogniser's library raises.
        """


def unit_rows(vectors: NDArray[np.float32], name: str) -> Embeddings:
    """Return the rows at length one (within float16), or raise EncoderError."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(norms).all():
        raise EncoderError("not_finite", f"encoder {name} returned a vector that is not finite")
    if (norms < 1e-12).any():
        raise EncoderError("zero", f"encoder {name} returned a vector without a direction")
    units: NDArray[np.float32] = vectors / norms
    return units.astype(np.float16)
