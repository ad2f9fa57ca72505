"""Scores, decides and learns the Moments of one partition index, and writes what comes of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from worker.core.alert_policies import AlertPolicies
from worker.core.alerts import AlertState, Decision
from worker.core.false_discoveries import Discoveries
from worker.core.messages import Alert, Feedback, Heeded
from worker.core.moment import Moment
from worker.core.ports import Output
from worker.core.source_state import LearnedFrom, SourceState
from worker.core.tracing import Traced
from worker.runtime.alert_book import AlertBook
from worker.runtime.compose import Composer, observation_id_of
from worker.runtime.decider import Decider
from worker.runtime.seen import Seen
from worker.runtime.shadow import Shadow, Shadowed
from worker.runtime.state_records import SCORER, SHADOW, Numbers
from worker.scoring.joint import with_joint
from worker.scoring.scored import Scored, ScorerState
from worker.scoring.scorer import Scorer
from worker.scoring.state import State
from worker.stages import Embedded


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one Moment."""

    moment: Moment
    scored: Scored
    decision: Decision
    shadow: Shadowed | None
    alerts: tuple[Alert, ...]
    heeded: tuple[Heeded, ...]
    outputs: tuple[Output, ...]

    @property
    def ended(self) -> Traced:
        """When its window ended, and the trace that it belongs to."""
        return Traced(self.moment.end, self.moment.traceparent)


class Judge:
    """Keeps the scorer and the alerts of all sources. Not thread-safe."""

    def __init__(
        self,
        policies: AlertPolicies,
        shadow: AlertPolicies | None,
        composer: Composer,
        scorer: Scorer,
        shadow_scorer: Scorer | None,
        states: Iterable[SourceState],
        discoveries: tuple[Discoveries, Discoveries],
    ) -> None:
        """Begin with what is remembered of sources, and of `discoveries` live and in shadow."""
        self._composer = composer
        self._scorers = {SCORER: scorer}
        if shadow_scorer is not None:
            self._scorers[SHADOW] = shadow_scorer
        by_age = sorted(states, key=lambda each: 0 if each.learned is None else each.learned.last)
        alerts = {each.source: each.alert for each in by_age if each.alert is not None}
        shadows = {each.source: each.shadow for each in by_age if each.shadow is not None}
        live, tried = discoveries
        if shadow is None:
            self._shadow = None
        else:
            self._shadow = Shadow(AlertBook(shadow, shadows, tried), shadow_scorer)
        self._decider = Decider(scorer, AlertBook(policies, alerts, live), self._shadow)

    def judge(self, embedded: Embedded, said: tuple[Feedback, ...] = ()) -> Settled:
        """Judge one Moment, after all that closed before it and what was `said` by then."""
        moment = embedded.moment
        seen = Seen(
            source=moment.source,
            start=moment.start,
            end=moment.end,
            features=embedded.features,
            has_carried=bool(moment.carried_modalities),
            amends=moment.amends,
            silent_after=moment.silent_after,
            observation=observation_id_of(moment),
            said=said,
            shadowed=None
            if embedded.shadow is None
            else with_joint(embedded.features, embedded.shadow),
        )
        judged = self._decider.decide(seen)
        outputs, alerts = self._composer.compose(embedded, judged, self.moments)
        return Settled(
            moment,
            judged.scored,
            judged.decision,
            judged.shadow,
            alerts,
            judged.heeded,
            tuple(outputs),
        )

    def due(self) -> Iterator[tuple[Numbers, str, State]]:
        """Yield the sources whose learned numbers are to be stored now, and of which scorer."""
        for kind, scorer in self._scorers.items():
            yield from ((kind, *each) for each in scorer.due())

    def forgotten(self) -> list[tuple[Numbers, str]]:
        """Return the sources whose learned numbers were given up since the last call."""
        return [(k, name) for k, scorer in self._scorers.items() for name in scorer.forgotten()]

    def alert_of(self, source: str) -> AlertState | None:
        """Return what is remembered for the alerts of a source."""
        return self._decider.alert_of(source)

    def shadow_of(self, source: str) -> AlertState | None:
        """Return what is remembered for the alerts that a source would have by the shadow."""
        return None if self._shadow is None else self._shadow.get(source)

    def learned_from(self, source: str, kind: Numbers = SCORER) -> LearnedFrom | None:
        """Return what is remembered for the scores of a source."""
        scorer = self._scorers.get(kind)
        return None if scorer is None else scorer.learned_from(source)

    def fill(self) -> dict[str, float]:
        """Return the share of its bound that each memory of sources holds."""
        scorers = max(each.fill for each in self._scorers.values())
        return {"alert_states": self._decider.fill, "scorers": scorers}

    @property
    def discoveries(self) -> tuple[Discoveries, Discoveries]:
        """What the controls of false-discovery rates remember, live and in shadow."""
        tried = Discoveries() if self._shadow is None else self._shadow.discoveries
        return self._decider.discoveries, tried

    @property
    def moments(self) -> int:
        """The number of the last Moment that was learned."""
        return self.scorer_state().moments

    def scorer_state(self, kind: Numbers = SCORER) -> ScorerState:
        """Return what a scorer knows beside its sources; nothing where there is none."""
        scorer = self._scorers.get(kind)
        return ScorerState() if scorer is None else scorer.state
