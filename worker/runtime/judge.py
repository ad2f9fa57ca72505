"""Scores, decides and learns the Moments of one partition index, and writes what comes of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from worker.core.alert_policies import AlertPolicies
from worker.core.alerts import AlertState, Decision
from worker.core.messages import Alert, DecisionRecord, Feedback, Heeded
from worker.core.moment import Moment
from worker.core.ports import Output
from worker.core.source_state import LearnedFrom, SourceState
from worker.core.tracing import Traced
from worker.runtime.alert_book import AlertBook
from worker.runtime.compose import Composer, observation_id_of
from worker.runtime.decider import Decider, Seen
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
    shadow: DecisionRecord | None
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
        states: Iterable[SourceState],
    ) -> None:
        self._composer = composer
        self._scorer = scorer
        by_age = sorted(states, key=lambda each: 0 if each.learned is None else each.learned.last)
        alerts = {each.source: each.alert for each in by_age if each.alert is not None}
        shadows = {each.source: each.shadow for each in by_age if each.shadow is not None}
        self._decider = Decider(
            scorer,
            AlertBook(policies, alerts),
            None if shadow is None else AlertBook(shadow, shadows),
        )

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

    def due(self) -> Iterator[tuple[str, State]]:
        """Yield the sources whose learned numbers are to be stored now."""
        yield from self._scorer.due()

    def forgotten(self) -> list[str]:
        """Return the sources whose learned numbers were given up since the last call."""
        return self._scorer.forgotten()

    def alert_of(self, source: str) -> AlertState | None:
        """Return what is remembered for the alerts of a source."""
        return self._decider.alert_of(source)

    def shadow_of(self, source: str) -> AlertState | None:
        """Return what is remembered for the alerts that a source would have by the shadow."""
        return self._decider.shadow_of(source)

    def learned_from(self, source: str) -> LearnedFrom | None:
        """Return what is remembered for the scores of a source."""
        return self._scorer.learned_from(source)

    def fill(self) -> dict[str, float]:
        """Return the share of its bound that each memory of sources holds."""
        return {"alert_states": self._decider.fill, "scorers": self._scorer.fill}

    @property
    def moments(self) -> int:
        """The number of the last Moment that was learned."""
        return self._scorer.state.moments

    @property
    def scorer_state(self) -> ScorerState:
        """What the scorer knows beside its sources."""
        return self._scorer.state
