"""Scorers that have learned what is usual for a camera."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from tests.scoring.moments import TEXT_DIM, normal
from worker.core.rfc3339 import seconds
from worker.scoring.scored import Scored, ScoringRules
from worker.scoring.scorer import Scorer

Features = dict[str, NDArray[Any]]


def rules(calibration: int = 40) -> ScoringRules:
    return ScoringRules(calibration_moments=calibration, seed=0, alpha=1e-4, text_dim=TEXT_DIM)


def judged(
    scorer: Scorer, source: str, second: float, features: Features, carried: bool = False
) -> Scored:
    """Score and learn one Moment, as the worker does."""
    time = seconds(second)
    scored = scorer.score(source, features, time, carried=carried)
    scorer.learn(source, features, time, scored, carried=carried)
    return scored


def warmed(moments: int = 120, source: str = "/a", using: ScoringRules | None = None) -> Scorer:
    scorer = Scorer(using or rules())
    for place in range(moments):
        judged(scorer, source, place, normal(place))
    return scorer
