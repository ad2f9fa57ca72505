"""Scores, decides and learns the Moments of one partition index, and writes what comes of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from worker.core.alerts import NOTHING, AlertPolicy, AlertState, Decision, Finding
from worker.core.messages import Alert
from worker.core.moment import Moment
from worker.core.ports import Output
from worker.core.source_state import LearnedFrom, SourceState
from worker.core.tracing import Traced
from worker.pipeline import Embedded
from worker.runtime.compose import Composer
from worker.scoring.scorer import Scored, Scorer, ScorerState
from worker.scoring.state import State

MAX_ALERT_STATES = 10_000  # sources whose alerts are remembered, the last ones decided about
CALM = AlertState()


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one Moment."""

    moment: Moment
    scored: Scored
    decision: Decision
    alert: Alert | None
    outputs: tuple[Output, ...]

    @property
    def ended(self) -> Traced:
        """When its window ended, and the trace that it belongs to."""
        return Traced(self.moment.end, self.moment.traceparent)


class Judge:
    """Keeps the scorer and the alerts of all sources. Not thread-safe."""

    def __init__(
        self,
        policy: AlertPolicy,
        composer: Composer,
        scorer: Scorer,
        states: Iterable[SourceState],
    ) -> None:
        self._policy = policy
        self._composer = composer
        self._scorer = scorer
        known = [state for state in states if state.alert is not None]
        by_age = sorted(known, key=lambda state: 0 if state.learned is None else state.learned.last)
        self._alerts = OrderedDict((state.source, state.alert or CALM) for state in by_age)

    def judge(self, embedded: Embedded) -> Settled:
        """Judge one Moment, after all that closed before it."""
        moment, carried = embedded.moment, bool(embedded.moment.carried_modalities)
        scored = self._scorer.score(moment.source, embedded.features, moment.start, carried=carried)
        decision = NOTHING
        if not moment.amends:
            decision = self._decide(moment, scored)
            self._scorer.learn(
                moment.source, embedded.features, moment.start, scored, carried=carried
            )
        outputs, alert = self._composer.compose(embedded, scored, decision, self.moments)
        return Settled(moment, scored, decision, alert, tuple(outputs))

    def due(self) -> Iterator[tuple[str, State]]:
        """Yield the sources whose learned numbers are to be stored now."""
        yield from self._scorer.due()

    def forgotten(self) -> list[str]:
        """Return the sources whose learned numbers were given up since the last call."""
        return self._scorer.forgotten()

    def alert_of(self, source: str) -> AlertState | None:
        """Return what is remembered for the alerts of a source."""
        return self._alerts.get(source)

    def learned_from(self, source: str) -> LearnedFrom | None:
        """Return what is remembered for the scores of a source."""
        return self._scorer.learned_from(source)

    @property
    def moments(self) -> int:
        """The number of the last Moment that was learned."""
        return self._scorer.state.moments

    @property
    def scorer_state(self) -> ScorerState:
        """What the scorer knows beside its sources."""
        return self._scorer.state

    def _decide(self, moment: Moment, scored: Scored) -> Decision:
        finding = Finding(moment.start, moment.end, scored.assessment.p_value, scored.reasons)
        before = self._alerts.pop(moment.source, CALM)
        after, decision = self._policy.decide(before, finding)
        if after != CALM:
            self._alerts[moment.source] = after
            if len(self._alerts) > MAX_ALERT_STATES:
                self._alerts.popitem(last=False)
        return decision
