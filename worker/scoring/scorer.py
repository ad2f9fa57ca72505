"""Scores and learns the Moments of all sources of one partition index, in the order they close."""

from __future__ import annotations

from array import array
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import partial
from math import isfinite

from worker.core.messages import Label, Warmup
from worker.core.source_state import LearnedFrom
from worker.scoring import combine
from worker.scoring.conformal import CalibrationRing, drawn, p_value_among
from worker.scoring.experts import Features, finite, least_excess
from worker.scoring.explaining import Explained, explained
from worker.scoring.memory import SourceMemory, keeps_caption
from worker.scoring.pool import Pool
from worker.scoring.recent import Alerted, Mark, Meant
from worker.scoring.scored import Scored, ScorerState, ScoringRules, assessed
from worker.scoring.sources import Sources
from worker.scoring.state import State

OWN_RING = 200  # scores from which a source needs no neighbours to judge itself
LEARN_ABOVE = 0.01  # less likely Moments are not taken in as normal,
UNGATED = 0.01  # but for this share of them, so that a new normality is learned in the end


class Scorer:
    """Keeps per source the experts' states and their calibration.

    The Moments that were learned have numbers, from 1. A Scorer comes back to where it was from its
    `state`, what is known of its sources, and the Moments since: `restore`, `relearn`, `restored`.
    """

    def __init__(self, rules: ScoringRules, state: ScorerState | None = None) -> None:
        was = state or ScorerState()
        self._rules = rules
        self._own_ring = max(OWN_RING, rules.needed)
        self._pool = Pool(was.pool)
        self._sources = Sources(rules, self._pool)
        self._moments, self._refreshed = was.moments, was.refreshed
        self._is_behind = state is not None  # whether the pool has not looked yet since `restore`

    def score(self, source: str, features: Features, time: int, *, carried: bool) -> Scored:
        """Judge one Moment by what was learned before it; nothing changes.

        `time` is the Moment's start; `carried` says that its caption was judged earlier already.
        """
        known = self._sources.get(source)
        looked_at, skipped = finite(features)
        memory = known if known is not None and known.knows(looked_at) else self._sources.blank()
        judged = memory.caption if carried else {}
        scores = _raw(memory, looked_at, judged)
        ties = drawn(len(scores), self._rules.seed, source, time)
        rings, own_ring = memory.rings, self._own_ring
        p_values: dict[str, float] = {}
        for (name, score), tie in zip(scores.items(), ties, strict=True):
            ring = rings[name]
            if len(ring.ordered) >= own_ring:
                p_values[name] = p_value_among(ring.ordered, score, tie, least_excess(name))
            elif (p := self._pooled(name, ring, score, tie)) is not None:
                p_values[name] = p
        for name, (score, earlier) in judged.items():
            scores[name] = score
            if earlier is not None:
                p_values[name] = earlier
        votes = combine.votes(p_values)
        is_blind = not scores and self._is_known(memory)
        warmup = None if votes or is_blind else self._warmup(memory)
        assessment = assessed(p_values, votes, warmup, drifting=memory.drift.is_raised)
        return Scored(assessment, scores, votes, skipped, looked_at)

    def explain(self, source: str, features: Features, scored: Scored) -> Explained:
        """Say what made a Moment unusual, before it is learned; nothing changes."""
        memory = self._sources.get(source)
        if memory is None:
            return Explained()
        known = partial(self._calibrating, memory.rings)
        return explained(memory, _known(features, scored), scored, known)

    def heed(self, source: str, label: Label, meant: Meant) -> tuple[str, ...]:
        """Change what is normal by what a person says; return the ids of the alerts that are meant.

        Before the next Moment of the source is scored. It depends on the state and on what is said
        alone, so it can be heeded again in a `relearn`. Saying the same again changes nothing.
        """
        memory = self._sources.get(source)
        if memory is None:
            return ()
        if label == "learn_anew":
            self._sources.restart(source, self._moments)
            return ()
        moments = memory.alerted.about(meant)
        match label:
            case "normal":
                memory.accept(moments)
            case "anomaly":
                memory.keep_out(moments)
            case "unsure":
                memory.take_back(moments)
        return tuple(dict.fromkeys(each.alert for each in moments))

    def learn(
        self,
        source: str,
        features: Features,
        time: int,
        scored: Scored,
        *,
        carried: bool,
        mark: Mark | None = None,
    ) -> None:
        """Take the Moment in: its scores calibrate later ones, its finite features normality.

        An unusual Moment (p <= alpha) does neither; one with p < LEARN_ABOVE only calibrates. But a
        source learns all of them until as many of its own scores calibrate as it needs: what it
        has not shown so far may be usual there, and unlearned it would stay unusual. Later a share
        UNGATED is learned all the same; of unusual Moments while p-values drift, as where a camera
        was moved, unless a person calls that an anomaly.
        A `mark` names it: as an example of what is normal, or for people to speak of its alert.
        """
        self._moments += 1
        self._take_in(source, features, time, scored, carried=carried, mark=mark)
        if self._pool.is_due(self._moments - self._refreshed):
            self._pool.refresh()
            self._refreshed = self._moments

    @property
    def fill(self) -> float:
        """The share of the sources that may be remembered."""
        return self._sources.fill

    @property
    def state(self) -> ScorerState:
        """What it knows beside its sources."""
        return ScorerState(self._moments, self._refreshed, self._pool.names)

    def learned_from(self, source: str) -> LearnedFrom | None:
        """Return what the memory of a source consists of; None where there is none."""
        memory = self._sources.get(source)
        return None if memory is None else memory.learned

    def size_of(self, source: str) -> int:
        """Return the bytes of a source's numbers, 0 where nothing is known of it."""
        memory = self._sources.get(source)
        return sum(each.nbytes for each in memory.state().values()) if memory else 0

    def due(self) -> Iterator[tuple[str, State]]:
        """Yield the sources whose numbers are to be stored now, a few at a time.

        It is never their turn but right after a look of the pool: so each look can be had again.
        """
        if self._refreshed == self._moments:
            yield from self._sources.due(self._moments)

    def forgotten(self) -> list[str]:
        """Return the sources that were forgotten since the last call."""
        return self._sources.forgotten()

    def restore(self, source: str, learned: LearnedFrom, numbers: State) -> None:
        """Take up the numbers of a source. Raises KeyError or ValueError where they do not fit."""
        self._sources.restore(source, learned, numbers)

    def relearn(
        self,
        number: int,
        source: str,
        features: Features,
        time: int,
        scored: Scored,
        *,
        carried: bool,
        mark: Mark | None = None,
        heeded: Iterable[tuple[Label, Meant]] = (),
    ) -> None:
        """Learn a Moment again, after what was `heeded` before it; in the order of numbers."""
        if self._is_behind and number > self._refreshed:
            self._look()
        moments, self._moments = self._moments, number
        for label, meant in heeded:
            self.heed(source, label, meant)
        self._take_in(source, features, time, scored, carried=carried, mark=mark)
        self._moments = moments

    def restored(self, learned: Iterable[tuple[str, LearnedFrom]]) -> None:
        """End it. Raises MissingMomentsError where a source did not learn all that it should."""
        if self._is_behind:
            self._look()
        self._sources.restored(learned)

    def _look(self) -> None:
        self._is_behind = False
        self._pool.refresh()

    def _take_in(
        self,
        source: str,
        features: Features,
        time: int,
        scored: Scored,
        *,
        carried: bool,
        mark: Mark | None,
    ) -> None:
        known = _known(features, scored)
        before = self._sources.get(source)
        if before is not None and not before.knows(known):
            self._sources.restart(source, self._moments)  # another part of the picture is masked
        memory = self._sources.learning(source, self._moments)
        memory.pass_time(time)
        if not carried and keeps_caption(known):
            memory.caption = scored.caption
        p = scored.assessment.p_value
        if p is None or not memory.has_own(self._rules.needed):
            calibrates = is_learned = True
        elif p > self._rules.alpha:
            calibrates, is_learned = True, p >= LEARN_ABOVE or self._is_ungated(source, time)
        else:
            calibrates = is_learned = memory.adapts and self._is_ungated(source, time)
        if p is not None:
            memory.follow(p)
        if calibrates:
            memory.calibrate(time, scored.raw, carried=carried)
        if is_learned:
            memory.learn(known, carried=carried)
        if mark is None:
            return
        if known and (p is None or p >= LEARN_ABOVE):
            memory.examples.learn(mark.observation, known)
        if mark.alert is not None:
            memory.alerted.add(
                Alerted(
                    mark.alert,
                    mark.observation,
                    time,
                    {name: features[name] for name in known},
                    scored.raw,
                    carried,
                    calibrates,
                    is_learned,
                )
            )

    def _pooled(self, name: str, ring: CalibrationRing, score: float, tie: float) -> float | None:
        """Return the p-value among the neighbours' scores."""
        pooled = self._pool.pooled(name, self._rules.needed)
        return None if pooled is None else pooled.p_value(score, ring, tie, least_excess(name))

    def _calibrating(self, rings: Mapping[str, CalibrationRing], expert: str) -> int:
        """Return how many normal scores an expert's are judged by: its own, or of neighbours."""
        own = len(rings[expert])
        if own < self._own_ring and (pooled := self._pool.pooled(expert, self._rules.needed)):
            return len(pooled.calibration)
        return own

    def _is_ungated(self, source: str, time: int) -> bool:
        (draw,) = drawn(1, self._rules.seed, source, time, "ungated")
        return draw <= UNGATED

    def _is_known(self, memory: SourceMemory) -> bool:
        """Tell whether anything that the source may show would have a p-value."""
        needed = self._rules.needed
        return any(
            len(ring) >= self._own_ring
            or (ring.standard() is not None and self._pool.pooled(name, needed) is not None)
            for name, ring in memory.rings.items()
        )

    def _warmup(self, memory: SourceMemory) -> Warmup:
        need = self._rules.needed
        return Warmup(have=min(need, max(self._pool.size, memory.own)), need=need)


def _raw(memory: SourceMemory, features: Features, judged: Container[str]) -> dict[str, float]:
    """Return the scores of experts, less those that were judged earlier and those not finite.

    In single precision, as rings keep them.
    """
    said: dict[str, float] = {}
    for name, expert in memory.experts.items():
        if name not in judged and (score := expert.score(features)) is not None:
            said[name] = score
    singles = array("f", said.values())
    heard = zip(said, singles, strict=True)
    if isfinite(sum(singles)):
        return dict(heard)
    return {name: score for name, score in heard if isfinite(score)}


def _known(features: Features, scored: Scored) -> Features:
    """Return what was looked at of a Moment, wherever it was scored."""
    return finite(features)[0] if scored.looked_at is None else scored.looked_at
