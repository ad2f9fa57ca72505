"""The values around a scorer: what it is set to, what it says of a Moment, where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.core.events import PAIRS
from worker.core.messages import Assessment, ExpertScore, Warmup
from worker.core.policy import score_of
from worker.scoring import combine
from worker.scoring.conformal import CAPACITY
from worker.scoring.experts import Features
from worker.scoring.memory import CARRIED, Judgements


@dataclass(frozen=True, slots=True)
class ScoringRules:
    """What scoring needs to know. A Moment is unusual at p <= `alpha`.

    `added` are the experts beside the usual ones, as for `build_experts`.
    """

    calibration_moments: int
    seed: int
    alpha: float
    text_dim: int
    added: tuple[str, ...] = ()

    @property
    def needed(self) -> int:
        """The scores from which p-values come: no more than are kept."""
        return min(self.calibration_moments, CAPACITY)


@dataclass(frozen=True, slots=True)
class Scored:
    """An assessment with what learning needs to know of it: raw scores and vote p-values.

    `skipped` names the features that were not looked at, since they are not finite; `looked_at` are
    the others as `finite` returns them, None where the Moment was not scored by this process.
    """

    assessment: Assessment
    raw: dict[str, float]
    votes: dict[str, float]
    skipped: tuple[str, ...] = ()
    looked_at: Features | None = field(default=None, compare=False, repr=False)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The votes that make the Moment unusual, strongest first."""
        experts = self.assessment.opinions.items()
        heard = {name: each.p_value for name, each in experts if each.p_value is not None}
        return combine.reasons(self.votes, heard)

    @property
    def caption(self) -> Judgements:
        """What was said of the Moment's own caption, by those of CARRIED that were heard."""
        opinions = self.assessment.experts
        heard = [name for name in CARRIED if name in self.raw]
        return {n: (self.raw[n], opinions[n].p_value if n in opinions else None) for n in heard}


@dataclass(frozen=True, slots=True)
class ScorerState:
    """What a Scorer knows beside its sources: Moments learned, and when its pool looked at whom."""

    moments: int = 0
    refreshed: int = 0
    pool: tuple[str, ...] = ()


def assessed(
    p_values: Mapping[str, float],
    votes: Mapping[str, float],
    warmup: Warmup | None,
    *,
    drifting: bool,
) -> Assessment:
    """Return what the p-values of experts and votes come to; nothing where there are none.

    Without a `warmup` that is since nothing was looked at, with one the source is not known yet.
    """
    p = combine.combined(votes) if votes else None
    heard = p_values.values()
    told = dict(zip(p_values, map(ExpertScore, map(score_of, heard), heard), strict=True))
    consistency = {name: told.pop(name) for name in PAIRS if name in told}
    return Assessment(
        p_value=p,
        score=None if p is None else score_of(p),
        warming_up=warmup is not None,
        experts=told,
        consistency=consistency,
        contributions=combine.contributions(votes, p_values),
        warmup=warmup,
        drifting=drifting,
    )
