"""What of a Moment goes into a fitted fusion: the same from a live Moment as from an Observation.

Everything is read as float16, which is what Observations keep.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.core.events import Modality

# Features that a modality can be read from: those it was encoded to first.
SOURCES: Mapping[Modality, tuple[str, ...]] = {
    Modality.FRAME: ("frame_embedding", "visual"),
    Modality.CAPTION: ("text",),
    Modality.AUDIO: ("audio_embedding", "audio_windows"),
}
# Features that are embeddings as they come from their encoder.
EMBEDDINGS: Mapping[Modality, str] = {
    Modality.FRAME: "frame_embedding",
    Modality.AUDIO: "audio_embedding",
}


def embeddings(rows: Mapping[Modality, NDArray[Any]]) -> dict[str, NDArray[np.float16]]:
    """Return the embeddings of a Moment as features; that of a caption is `text` anyway."""
    return {
        name: rows[modality].astype(np.float16)
        for modality, name in EMBEDDINGS.items()
        if modality in rows
    }


def read_input(features: Mapping[str, NDArray[Any]], name: str) -> NDArray[np.float32] | None:
    """Return (D,), the mean over windows where there are several; None for what is of no use.

    >>> read_input({"audio_windows": np.ones((4, 2), np.float16)}, "audio_windows")
    array([1., 1.], dtype=float32)
    """
    value = features.get(name)
    if value is None or not value.size or not np.isfinite(value).all():
        return None
    single = value.astype(np.float16).astype(np.float32)
    mean: NDArray[np.float32] = single.reshape(-1, single.shape[-1]).mean(axis=0)
    return mean
