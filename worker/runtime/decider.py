"""Scores, decides and learns Moments one after the other: live, and again from Observations."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from worker.core.alert_policies import AlertPolicies
from worker.core.alerts import NOTHING, RULE, AlertState, Decision, Finding
from worker.core.messages import DecisionRecord, alert_id
from worker.scoring.experts import Features
from worker.scoring.scorer import Scored, Scorer

MAX_ALERT_STATES = 10_000  # sources whose alerts are remembered, the last ones decided about
CALM = AlertState()


@dataclass(frozen=True, slots=True)
class Seen:
    """What judging looks at of a Moment; times in microseconds since the epoch."""

    source: str
    start: int
    end: int
    features: Features
    has_carried: bool
    amends: bool
    silent_after: bool


class Decider:
    """Keeps the alerts of all sources of a partition index beside its scorer."""

    def __init__(
        self, policies: AlertPolicies, scorer: Scorer, alerts: Mapping[str, AlertState]
    ) -> None:
        """Begin with `alerts` by source, the ones decided about last at the end."""
        self._policies = policies
        self._scorer = scorer
        self._alerts = OrderedDict(alerts)

    def decide(self, seen: Seen) -> tuple[Scored, Decision]:
        """Judge one Moment after all that closed before it; an amendment is only scored."""
        source, time, carried = seen.source, seen.start, seen.has_carried
        scored = self._scorer.score(source, seen.features, time, carried=carried)
        if seen.amends:
            return scored, NOTHING
        decision = self._decided(seen, scored)
        self._scorer.learn(source, seen.features, time, scored, carried=carried)
        return scored, decision

    @property
    def fill(self) -> float:
        """The share of its bound that it remembers."""
        return len(self._alerts) / MAX_ALERT_STATES

    def alert_of(self, source: str) -> AlertState | None:
        """Return what is remembered for the alerts of a source."""
        return self._alerts.get(source)

    def _decided(self, seen: Seen, scored: Scored) -> Decision:
        finding = Finding(
            start=seen.start,
            end=seen.end,
            p_value=scored.assessment.p_value,
            reasons=scored.reasons,
            silent_after=seen.silent_after,
        )
        before = self._alerts.pop(seen.source, CALM)
        after, decision = self._policies.of(seen.source).decide(before, finding)
        if after != CALM:
            self._alerts[seen.source] = after
            if len(self._alerts) > MAX_ALERT_STATES:
                self._alerts.popitem(last=False)
        return decision


def decision_record(source: str, decision: Decision) -> DecisionRecord:
    """Return the decision as the Observation has it."""
    alert = decision.alert
    if alert is None:
        return DecisionRecord("none", (), None, None)
    return DecisionRecord(
        kind=decision.kind,
        reasons=alert.reasons,
        severity=alert.severity,
        alert_id=alert_id(source, RULE, alert.start),
        closed_for=decision.closed_for,
    )
