"""Scores and learns the Moments of all sources of one partition index, in the order they close."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from worker.core.messages import Assessment, ExpertScore, Warmup
from worker.core.policy import score_of
from worker.core.rfc3339 import seconds
from worker.scoring import combine
from worker.scoring.conformal import CAPACITY, CalibrationRing, hashed_uniform, p_value
from worker.scoring.experts import Expert, Features, build_experts, finite
from worker.scoring.pool import Pool

OWN_RING = 200  # scores from which a source needs no neighbours to judge itself
MAX_SOURCES = 2048  # remembered, the last ones heard; each takes about a megabyte
MAX_LAG = seconds(60)
LAG_SHARE = 8  # while a source is young, an eighth of its age
LEARN_ABOVE = 0.01  # less likely Moments are not taken in as normal,
UNGATED = 0.01  # but for this share of them, so that a new normality is learned in the end


@dataclass(frozen=True, slots=True)
class ScoringRules:
    """What scoring needs to know. `alpha` is the p-value at which a Moment is unusual."""

    calibration_moments: int
    seed: int
    alpha: float
    text_dim: int

    @property
    def needed(self) -> int:
        """The scores from which p-values come: no more than are kept."""
        return min(self.calibration_moments, CAPACITY)


@dataclass(frozen=True, slots=True)
class Scored:
    """An assessment with what learning needs to know of it: raw scores and vote p-values.

    `skipped` names the features that were not looked at, since they are not finite.
    """

    assessment: Assessment
    raw: dict[str, float]
    votes: dict[str, float]
    skipped: tuple[str, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """The votes that make the Moment unusual, strongest first."""
        return combine.reasons(self.votes)


@dataclass(slots=True)
class _Source:
    experts: dict[str, Expert]
    rings: dict[str, CalibrationRing]
    first_time: int | None = None
    text: tuple[float, float | None] | None = None  # raw score and p-value of the last caption


CARRIED: Final = "text"  # the expert whose judgement is carried along with a caption


class Scorer:
    """Keeps per source the experts' states and their calibration."""

    def __init__(self, rules: ScoringRules) -> None:
        self._rules = rules
        self._sources: OrderedDict[str, _Source] = OrderedDict()
        self._pool = Pool()

    def score(self, source: str, features: Features, time: int, *, carried: bool) -> Scored:
        """Judge one Moment by what was learned before it; nothing changes.

        `time` is the Moment's start; `carried` says that its caption was judged earlier already.
        """
        state = self._sources.get(source) or self._new_source()
        features, skipped = finite(features)
        raw = {
            name: value
            for name, expert in state.experts.items()
            if (value := expert.score(features)) is not None and math.isfinite(value)
        }
        p_values = {
            name: p
            for name, value in raw.items()
            if (p := self._p_value(source, state, name, value, time)) is not None
        }
        if carried and state.text is not None:
            raw[CARRIED], carried_p = state.text
            if carried_p is not None:
                p_values[CARRIED] = carried_p
        votes = combine.votes(p_values)
        return Scored(self._assessment(state, p_values, votes), raw, votes, skipped)

    def learn(
        self, source: str, features: Features, time: int, scored: Scored, *, carried: bool
    ) -> None:
        """Take the Moment in: its scores calibrate later ones, its finite features normality.

        An unusual Moment (p <= alpha) does neither; one with p < LEARN_ABOVE only calibrates.
        """
        features, _ = finite(features)
        state = self._known(source)
        state.first_time = time if state.first_time is None else state.first_time
        self._settle(state, time)
        if not carried and CARRIED in features:
            judged = scored.assessment.experts.get(CARRIED)
            value = scored.raw.get(CARRIED)
            p_text = None if judged is None else judged.p_value
            state.text = None if value is None else (value, p_text)
        p = scored.assessment.p_value
        if p is not None and p <= self._rules.alpha:
            return
        for name, value in scored.raw.items():
            if not (carried and name == CARRIED):
                state.rings[name].add(time, value)
        if p is None or p >= LEARN_ABOVE or self._draw(source, time, "ungated") <= UNGATED:
            for name, expert in state.experts.items():
                if not (carried and name == CARRIED):  # it was learned when it was present
                    expert.learn(features)

    def _known(self, source: str) -> _Source:
        """Return the state of the source, from now on the last one to be forgotten."""
        state = self._sources.get(source)
        if state is None:
            state = self._sources[source] = self._new_source()
            self._pool.join(state.rings)
            if len(self._sources) > MAX_SOURCES:
                self._sources.popitem(last=False)
        self._sources.move_to_end(source)
        return state

    def _new_source(self) -> _Source:
        experts = build_experts(self._rules.text_dim)
        return _Source(experts, {name: CalibrationRing() for name in experts})

    def _settle(self, state: _Source, time: int) -> None:
        age = time - (time if state.first_time is None else state.first_time)
        until = time - min(MAX_LAG, age // LAG_SHARE)
        for ring in state.rings.values():
            ring.settle(until)
        self._pool.refresh()

    def _p_value(
        self, source: str, state: _Source, name: str, value: float, time: int
    ) -> float | None:
        ring = state.rings[name]
        tie = self._draw(source, time, name)
        if len(ring) >= max(OWN_RING, self._rules.needed):
            return p_value(value, ring.scores, tie)
        standard, pooled = ring.standard(), self._pool.scores(name)
        if standard is None or len(pooled) < self._rules.needed:
            return None
        median, spread = standard
        return p_value((value - median) / spread, pooled, tie)

    def _draw(self, *parts: str | int) -> float:
        return hashed_uniform(self._rules.seed, *parts)

    def _assessment(
        self, state: _Source, p_values: dict[str, float], votes: dict[str, float]
    ) -> Assessment:
        p = combine.combined(votes) if votes else None
        return Assessment(
            p_value=p,
            score=None if p is None else score_of(p),
            warming_up=p is None,
            experts={name: ExpertScore(score_of(q), q) for name, q in p_values.items()},
            consistency={},
            contributions=combine.contributions(votes),
            warmup=self._warmup(state) if p is None else None,
        )

    def _warmup(self, state: _Source) -> Warmup:
        need = self._rules.needed
        own = max(len(ring) for ring in state.rings.values())
        return Warmup(have=min(need, max(self._pool.size, own)), need=need)
