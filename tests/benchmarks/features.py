"""What scoring looks at, drawn at random in the shapes that the default encoders give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.core.events import Modality
from worker.core.moment import Moment
from worker.core.rfc3339 import seconds
from worker.core.source_state import LearnedFrom
from worker.media.limits import Limits
from worker.models.base import Encoder
from worker.pipeline import Pipeline, Vectors
from worker.scoring.conformal import CAPACITY
from worker.scoring.experts import AUDIO_DIM, FUSED_DIM, VISUAL_DIM
from worker.scoring.memory import SourceMemory
from worker.scoring.state import State
from worker.stages import Embedded, Prepared

FULL_GROWN = CAPACITY + 100  # Moments after which rings and banks are full: the lag is under 100 s
PICTURE = (48, 64)  # rows and columns of a luminance thumbnail
AUDIO_WINDOWS = 4  # of a clip of one second
FUSED_ROW = 256  # numbers of an Observation's embedding

Array = NDArray[Any]


class Looks:
    """Draws features. The background is one for all; equal seeds give equal features."""

    def __init__(self, text_dim: int) -> None:
        self._text_dim = text_dim
        self._background = np.random.default_rng(0).uniform(30, 220, PICTURE)

    def features(self, seed: Sequence[int], *, captioned: bool) -> dict[str, Array]:
        """Return the float16 features of one Moment."""
        draws = np.random.default_rng(seed)
        found = {
            "luminance": np.clip(self._background + draws.normal(0, 3, PICTURE), 0, 255),
            "audio_windows": draws.normal(0, 1, (AUDIO_WINDOWS, AUDIO_DIM)),
            "visual": draws.normal(0, VISUAL_DIM**-0.5, VISUAL_DIM),
            "fused": draws.normal(0, FUSED_DIM**-0.5, FUSED_DIM),
            "sharpness": draws.normal(3, 0.1, 1),
            "motion": draws.normal(1, 0.1, 1),
        }
        if captioned:
            found["text_danger"] = draws.normal(0, 0.1, 1)
            found["text"] = draws.normal(0, self._text_dim**-0.5, self._text_dim)
        return {name: value.astype(np.float16) for name, value in found.items()}


def full_grown(text_dim: int) -> State:
    """Return the numbers of a source that has learned so much that they grow no more."""
    return grown(text_dim, FULL_GROWN)


def grown(text_dim: int, moments: int) -> State:
    """Return the numbers of a source that has learned so many Moments, one a second."""
    looks, memory = Looks(text_dim), SourceMemory(text_dim, LearnedFrom(None, 0, 0))
    for number in range(moments):
        features = looks.features([number], captioned=True)
        memory.pass_time(seconds(number))
        scores = {name: expert.score(features) for name, expert in memory.experts.items()}
        raw = {name: score for name, score in scores.items() if score is not None}
        memory.calibrate(seconds(number), raw, carried=False)
        memory.learn(features, carried=False)
    if moments == FULL_GROWN and any(len(ring) < CAPACITY for ring in memory.rings.values()):
        raise ValueError("the source is not full-grown")
    return memory.state()


class DrawnPipeline(Pipeline):
    """A pipeline that looks at no media: the features of each Moment are drawn."""

    def __init__(self, encoders: Mapping[Modality, Encoder]) -> None:
        super().__init__(encoders, Limits(), frames_per_moment=1, seed=0)
        self._looks = Looks(encoders[Modality.CAPTION].dim)

    def prepare(self, moment: Moment) -> Prepared:
        """Decode nothing."""
        return Prepared(moment, {}, {}, ())

    def fuse(self, batch: Sequence[Prepared], vectors: Vectors) -> list[Embedded]:
        """Draw the features by source and time."""
        return [self._drawn(prepared.moment) for prepared in batch]

    def _drawn(self, moment: Moment) -> Embedded:
        seed = [*moment.source.encode(), moment.start]
        features = self._looks.features(seed, captioned=Modality.CAPTION not in moment.missing)
        fused = np.resize(features["fused"], FUSED_ROW)
        return Embedded(moment, fused, {}, features, ())
