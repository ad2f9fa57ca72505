"""Scores, decides and learns Moments one after the other: live, and again from Observations."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from worker.core.alert_policies import AlertPolicies
from worker.core.alerts import NOTHING, RULE, AlertState, Decision, Finding
from worker.core.messages import DecisionRecord, Effect, Feedback, Heeded, Label, alert_id
from worker.core.policy import Budget
from worker.core.verdicts import factor, with_verdict
from worker.scoring.experts import Features
from worker.scoring.explaining import Explained
from worker.scoring.recent import Mark, Meant
from worker.scoring.scored import Scored
from worker.scoring.scorer import Scorer

MAX_ALERT_STATES = 10_000  # sources whose alerts are remembered, the last ones decided about
CALM = AlertState()


@dataclass(frozen=True, slots=True)
class Seen:
    """What judging looks at of a Moment; times in microseconds since the epoch.

    `observation` is the id of its Observation, `said` what people had said before it.
    """

    source: str
    start: int
    end: int
    features: Features
    has_carried: bool
    amends: bool
    silent_after: bool
    observation: str
    said: tuple[Feedback, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """What a Moment came to; `budget` is the one that its source has by now."""

    scored: Scored
    decision: Decision
    budget: Budget
    heeded: tuple[Heeded, ...] = ()
    explained: Explained | None = None  # where it is unusual


class Decider:
    """Keeps the alerts of all sources of a partition index beside its scorer."""

    def __init__(
        self, policies: AlertPolicies, scorer: Scorer, alerts: Mapping[str, AlertState]
    ) -> None:
        """Begin with `alerts` by source, the ones decided about last at the end."""
        self._policies = policies
        self._scorer = scorer
        self._alerts = OrderedDict(alerts)

    def decide(self, seen: Seen) -> Judged:
        """Judge one Moment after all that closed before it; an amendment is only scored."""
        source, time, carried = seen.source, seen.start, seen.has_carried
        heeded = tuple(self._heed(each) for each in seen.said)
        budget = self._policies.of(source).adapted(self._alerts.get(source, CALM)).budget
        scored = self._scorer.score(source, seen.features, time, carried=carried)
        if seen.amends:
            return Judged(scored, NOTHING, budget)
        decision = self._decided(seen, scored)
        said = decision_record(source, decision).said_about
        explained = self._explained(seen, scored, budget)
        mark = Mark(seen.observation, said)
        self._scorer.learn(source, seen.features, time, scored, carried=carried, mark=mark)
        return Judged(scored, decision, budget, heeded, explained)

    def _explained(self, seen: Seen, scored: Scored, budget: Budget) -> Explained | None:
        """Say what made the Moment unusual, where it is."""
        p = scored.assessment.p_value
        if p is None or not budget.exceeds(p):
            return None
        return self._scorer.explain(seen.source, seen.features, scored)

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
        anew = any(each.label == "learn_anew" for each in seen.said)
        after, decision = self._policies.of(seen.source).decide(before, finding, anew=anew)
        self._remember(seen.source, after)
        return decision

    def _remember(self, source: str, state: AlertState) -> None:
        if state != CALM:
            self._alerts[source] = state
            if len(self._alerts) > MAX_ALERT_STATES:
                self._alerts.popitem(last=False)

    def _heed(self, said: Feedback) -> Heeded:
        """Let what a person says change what is normal, and the source's threshold."""
        state = self._alerts.pop(said.source, CALM)
        meant = Meant(said.alert_id, said.observation_id)
        alerts = self._scorer.heed(said.source, said.label, meant)
        effect, after = _effect(said, alerts, state)
        self._remember(said.source, after)
        return Heeded(said, effect, factor(after.verdicts))


def _effect(
    said: Feedback, alerts: Collection[str], before: AlertState
) -> tuple[Effect, AlertState]:
    """Return what saying so comes to, and what is remembered then; `alerts` are those meant."""
    if said.label == "learn_anew":
        return "restarted", before.begun_anew
    verdicts = before.verdicts
    for alert in alerts:
        verdicts = with_verdict(verdicts, alert, said.label)
    if not alerts:
        return "unknown", before
    if verdicts == before.verdicts and said.label != "unsure":
        return "repeated", before
    effects: dict[Label, Effect] = {"normal": "learned", "anomaly": "kept_out", "unsure": "noted"}
    return effects[said.label], replace(before, verdicts=verdicts)


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
