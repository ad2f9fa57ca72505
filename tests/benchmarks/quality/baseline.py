"""What is commonly done, on the same features: Fisher's sum of conformal p-values.

An embedding Gaussian, a difference-to-background Gaussian, nearest neighbours of sounds and
sentences, a Gaussian of the fused vector; p-values by rank with an exponential tail above the 90th
percentile; -2 sum ln p against chi-squared with two degrees of freedom each.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.core.rfc3339 import seconds
from worker.scoring.background import MedianBackground
from worker.scoring.conformal import CalibrationRing
from worker.scoring.experts import (
    AUDIO_DIM,
    FUSED_DIM,
    MIN_LEARNED,
    VISUAL_DIM,
    Expert,
    Features,
    finite,
)
from worker.scoring.experts.nearest import NearestExpert
from worker.scoring.experts.vector import GaussianExpert
from worker.scoring.gaussian import OnlineGaussian
from worker.scoring.lagged import LaggedScores
from worker.scoring.state import State, nested, part

LAG = seconds(25)  # as long as a source's own one when its warm-up ends
MIN_RING = 40
TAIL = 0.1


class FisherBaseline:
    """Scores and learns one source; learns a Moment where p is at least 0.01."""

    def __init__(self, text_dim: int) -> None:
        self._experts: dict[str, Expert] = {
            "visual": GaussianExpert("visual", VISUAL_DIM),
            "grid": _PlainGrid(),
            "audio": NearestExpert("audio_windows", AUDIO_DIM, MIN_LEARNED),
            "text": NearestExpert("text", text_dim, 2),
            "fused": GaussianExpert("fused", FUSED_DIM),
        }
        self._rings = {name: CalibrationRing() for name in self._experts}
        self._lagged = LaggedScores(tuple(self._experts))
        self._carried: float | None = None

    def judge(self, features: Features, time: int, *, carried: bool) -> float | None:
        """Return the p-value of a Moment, None while too little is known, and learn it."""
        known, _ = finite(features)
        raw: dict[str, float] = {}
        for name, expert in self._experts.items():
            score = expert.score(known)
            if score is not None and not (carried and name == "text"):
                raw[name] = score
        settled = self._lagged.settled(time - LAG)
        for ring, scores in zip(self._rings.values(), settled, strict=False):
            ring.extend(scores)
        p_values = {
            name: _tail_p(score, np.array(self._rings[name].ordered, np.float64))
            for name, score in raw.items()
            if len(self._rings[name]) >= (MIN_RING if name != "text" else 10)
        }
        if not carried:
            self._carried = p_values.get("text")
        elif self._carried is not None:
            p_values["text"] = self._carried
        p = fisher(list(p_values.values())) if p_values else None
        if p is None or p >= 0.01:
            self._lagged.add(time, raw)
            for name, expert in self._experts.items():
                if not (carried and name == "text"):
                    expert.learn(known)
        return p


class _PlainGrid:
    """log1p of the mean absolute difference from the median background, 16 x 12 cells."""

    def __init__(self) -> None:
        self._background = MedianBackground()
        self._gaussian = OnlineGaussian(192)

    def score(self, features: Features) -> float | None:
        deviation = self._deviation(features)
        if deviation is None or self._gaussian.count < MIN_LEARNED:
            return None
        return self._gaussian.score(deviation)

    def learn(self, features: Features) -> None:
        if (deviation := self._deviation(features)) is not None:
            self._gaussian.learn(deviation)
        if "luminance" in features:
            self._background.learn(features["luminance"])

    def unlearn(self, features: Features) -> None:
        """A mean keeps what it was told."""

    def state(self) -> State:
        return nested({"background": self._background.state(), "gaussian": self._gaussian.state()})

    def restore(self, state: State) -> None:
        self._background.restore(part(state, "background"))
        self._gaussian.restore(part(state, "gaussian"))

    def _deviation(self, features: Features) -> NDArray[Any] | None:
        thumbnail, median = (
            features.get("luminance"),
            self._background.median() if self._background.is_known else None,
        )
        if thumbnail is None or median is None:
            return None
        difference = np.abs(thumbnail.astype(np.float32) - median)
        return np.asarray(np.log1p(difference.reshape(12, 4, 16, 4).mean(axis=(1, 3)))).ravel()


def _tail_p(score: float, calibration: NDArray[Any]) -> float:
    """Return the rank among the scores, or TAIL exp(-(s - u) / mean excess) above u."""
    u = float(np.quantile(calibration, 1 - TAIL))
    excesses = calibration[calibration > u] - u
    if score <= u or not len(excesses):
        return float(((calibration >= score).sum() + 1) / (len(calibration) + 1))
    return max(1e-300, TAIL * math.exp(-(score - u) / max(1e-9, float(excesses.mean()))))


def fisher(p_values: list[float]) -> float:
    """Return the chi-squared survival of -2 sum ln p with 2 k degrees of freedom.

    >>> round(fisher([0.05, 0.05]), 4)
    0.0175
    """
    half = -sum(math.log(max(p, 1e-300)) for p in p_values)
    terms = (half**k / math.factorial(k) for k in range(len(p_values)))
    return max(1e-300, math.exp(-half) * sum(terms))
