"""The experts: each looks at one feature of a Moment and says how unusual it is for this source.

Contract of every expert, for features as float16 arrays:
`score(features)` returns a float, higher is more abnormal, without changing anything; None where
its feature is absent or it has learned from fewer than MIN_LEARNED Moments: cold is not normal.
`learn(features)` updates the state; the same features in the same order give the same state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from worker.core.events import Modality
from worker.scoring.background import GRID, MedianBackground
from worker.scoring.bank import VectorBank
from worker.scoring.gaussian import OnlineGaussian
from worker.scoring.state import State, integers, nested, part

MIN_LEARNED = 8
MIN_CAPTIONS = 2  # captions are sparse, and one neighbour is all that their distance needs

Features = Mapping[str, NDArray[Any]]


def finite(features: Features) -> tuple[Features, tuple[str, ...]]:
    """Return the features that are numbers throughout, and the names of the others."""
    skipped = tuple(name for name, value in features.items() if not np.isfinite(value).all())
    return {name: features[name] for name in features if name not in skipped}, skipped


class Expert(Protocol):
    """One view of one modality. See the module's docstring for the contract."""

    def score(self, features: Features) -> float | None:
        """Return how unusual the Moment is."""

    def learn(self, features: Features) -> None:
        """Take the Moment in as normal."""

    def state(self) -> State:
        """Return all that was learned."""

    def restore(self, state: State) -> None:
        """Take up what another one of the same kind has learned."""


class GaussianExpert:
    """Distance of one feature vector from the source's online Gaussian."""

    def __init__(self, feature: str, dim: int) -> None:
        self._feature = feature
        self._gaussian = OnlineGaussian(dim)

    def score(self, features: Features) -> float | None:
        """Return the log Mahalanobis distance per dimension."""
        x = features.get(self._feature)
        return None if x is None or self._gaussian.count < MIN_LEARNED else self._gaussian.score(x)

    def learn(self, features: Features) -> None:
        """Update the Gaussian."""
        if (x := features.get(self._feature)) is not None:
            self._gaussian.learn(x)

    def state(self) -> State:
        """Return the Gaussian's numbers."""
        return self._gaussian.state()

    def restore(self, state: State) -> None:
        """Take up the Gaussian's numbers."""
        self._gaussian.restore(state)


class GridExpert:
    """Differences from the median background on a 16 x 12 grid: sees what does not belong there."""

    def __init__(self) -> None:
        self._background = MedianBackground()
        self._gaussian = OnlineGaussian(GRID[0] * GRID[1])

    def score(self, features: Features) -> float | None:
        """Return the log Mahalanobis distance per cell."""
        deviation = self._deviation(features)
        if deviation is None or self._gaussian.count < MIN_LEARNED:
            return None
        return self._gaussian.score(deviation)

    def learn(self, features: Features) -> None:
        """Update the Gaussian by the deviation from the background so far, then the background."""
        if (deviation := self._deviation(features)) is not None:
            self._gaussian.learn(deviation)
        if "luminance" in features:
            self._background.learn(features["luminance"])

    def state(self) -> State:
        """Return the background and the Gaussian's numbers."""
        return nested({"background": self._background.state(), "gaussian": self._gaussian.state()})

    def restore(self, state: State) -> None:
        """Take up both."""
        self._background.restore(part(state, "background"))
        self._gaussian.restore(part(state, "gaussian"))

    def _deviation(self, features: Features) -> NDArray[Any] | None:
        thumbnail = features.get("luminance")
        return None if thumbnail is None else self._background.deviation(thumbnail)


class NearestExpert:
    """Distance to the nearest vector of the source's bank; the largest over a Moment's vectors."""

    def __init__(self, feature: str, dim: int, min_learned: int) -> None:
        self._feature = feature
        self._bank = VectorBank(dim)
        self._learned = 0
        self._min_learned = min_learned

    def score(self, features: Features) -> float | None:
        """Return the distance of the vector that is farthest from the bank."""
        rows = features.get(self._feature)
        if rows is None or self._learned < self._min_learned:
            return None
        return float(self._bank.distances(rows.reshape(-1, rows.shape[-1])).max())

    def learn(self, features: Features) -> None:
        """Offer the vectors to the bank."""
        rows = features.get(self._feature)
        if rows is not None:
            self._learned += 1
            self._bank.learn(rows.reshape(-1, rows.shape[-1]))

    def state(self) -> State:
        """Return the bank, and how many Moments it was offered."""
        return {"learned": integers(self._learned), **nested({"bank": self._bank.state()})}

    def restore(self, state: State) -> None:
        """Take up both."""
        self._learned = int(state["learned"][0])
        self._bank.restore(part(state, "bank"))


VISUAL_DIM = 64
FUSED_DIM = 64
AUDIO_DIM = 128


def build_experts(text_dim: int) -> dict[str, Expert]:
    """Return a source's experts by name; `text_dim` is the caption encoder's dimension."""
    return {
        "visual_embedding": GaussianExpert("visual", VISUAL_DIM),
        "visual_grid": GridExpert(),
        "audio": NearestExpert("audio_windows", AUDIO_DIM, MIN_LEARNED),
        "text": NearestExpert("text", text_dim, MIN_CAPTIONS),
        "fused": GaussianExpert("fused", FUSED_DIM),
    }


# Who votes together: the experts of one vote, and the modality that the vote speaks for.
VOTES: Mapping[str, tuple[str, ...]] = {
    "visual": ("visual_embedding", "visual_grid"),
    "audio": ("audio",),
    "text": ("text",),
    "fused": ("fused",),
}
VOTE_WEIGHTS: Mapping[str, float] = {
    "visual": 1.0,
    "audio": 1.0,
    "text": 1.0,
    "fused": 0.25,  # untrained fusion sees little that its parts do not
}
VOTE_OF_MODALITY = {Modality.FRAME: "visual", Modality.AUDIO: "audio", Modality.CAPTION: "text"}
