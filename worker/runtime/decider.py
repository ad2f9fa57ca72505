"""Scores, decides and learns Moments one after the other: live, and again from Observations."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from worker.core.alerts import NOTHING, RULE, AlertState, Decision, Finding
from worker.core.incidents import Incident
from worker.core.messages import DecisionRecord, Effect, Feedback, Heeded, Label, alert_id
from worker.core.policy import Budget
from worker.core.verdicts import factor, with_verdict
from worker.runtime.alert_book import AlertBook
from worker.scoring.experts import Features
from worker.scoring.explaining import Explained
from worker.scoring.recent import Mark, Meant
from worker.scoring.scored import Scored
from worker.scoring.scorer import Scorer


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
    """What a Moment came to; `budget` is the one that its source has by now.

    `record` is the decision as it is written. `explained` is there where the Moment is unusual,
    `shadow` where there is one.
    """

    scored: Scored
    decision: Decision
    record: DecisionRecord
    budget: Budget
    heeded: tuple[Heeded, ...] = ()
    explained: Explained | None = None
    shadow: DecisionRecord | None = None


class Decider:
    """Keeps the alerts of all sources of a partition index beside its scorer.

    With a `shadow` every Moment is decided about a second time, by other policies and with a state
    of their own; nothing comes of that but a record. People's verdicts count there as well.
    """

    def __init__(self, scorer: Scorer, alerts: AlertBook, shadow: AlertBook | None = None) -> None:
        self._scorer = scorer
        self._alerts = alerts
        self._shadow = shadow

    def decide(self, seen: Seen) -> Judged:
        """Judge one Moment after all that closed before it; an amendment is only scored."""
        source, time, carried = seen.source, seen.start, seen.has_carried
        heeded = tuple(self._heed(each) for each in seen.said)
        budget = self._alerts.budget(source)
        scored = self._scorer.score(source, seen.features, time, carried=carried)
        if seen.amends:
            return Judged(scored, NOTHING, decision_record(source, NOTHING), budget)
        finding, anew = _finding(seen, scored), _begins_anew(seen)
        decision = self._alerts.decide(source, finding, anew=anew)
        incident = self._alerts.of(source).incident
        record = decision_record(source, decision, incident)
        explained = self._explained(seen, scored, budget)
        mark = Mark(seen.observation, record.said_about)
        self._scorer.learn(source, seen.features, time, scored, carried=carried, mark=mark)
        return Judged(
            scored,
            decision,
            record,
            budget,
            heeded,
            explained,
            self._shadowed(source, finding, anew),
        )

    @property
    def fill(self) -> float:
        """The share of its bound that it remembers."""
        return self._alerts.fill

    def alert_of(self, source: str) -> AlertState | None:
        """Return what is remembered for the alerts of a source."""
        return self._alerts.get(source)

    def shadow_of(self, source: str) -> AlertState | None:
        """Return what is remembered for the alerts that a source would have by the shadow."""
        return None if self._shadow is None else self._shadow.get(source)

    def _shadowed(self, source: str, finding: Finding, anew: bool) -> DecisionRecord | None:
        if self._shadow is None:
            return None
        verdicts = self._alerts.of(source).verdicts
        self._shadow.put(source, replace(self._shadow.of(source), verdicts=verdicts))
        decision = self._shadow.decide(source, finding, anew=anew)
        return decision_record(source, decision, self._shadow.of(source).incident)

    def _explained(self, seen: Seen, scored: Scored, budget: Budget) -> Explained | None:
        """Say what made the Moment unusual, where it is."""
        p = scored.assessment.p_value
        if p is None or not budget.exceeds(p):
            return None
        return self._scorer.explain(seen.source, seen.features, scored)

    def _heed(self, said: Feedback) -> Heeded:
        """Let what a person says change what is normal, and the source's threshold."""
        meant = Meant(said.alert_id, said.observation_id)
        alerts = self._scorer.heed(said.source, said.label, meant)
        effect, after = _effect(said, alerts, self._alerts.of(said.source))
        self._alerts.put(said.source, after)
        return Heeded(said, effect, factor(after.verdicts))


def _finding(seen: Seen, scored: Scored) -> Finding:
    return Finding(
        start=seen.start,
        end=seen.end,
        p_value=scored.assessment.p_value,
        reasons=scored.reasons,
        silent_after=seen.silent_after,
    )


def _begins_anew(seen: Seen) -> bool:
    return any(each.label == "learn_anew" for each in seen.said)


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


def decision_record(
    source: str, decision: Decision, incident: Incident | None = None
) -> DecisionRecord:
    """Return the decision as the Observation has it; `incident` is that of the newest alert."""
    alert = decision.alert
    if alert is None:
        return DecisionRecord("none", (), None, None)
    return DecisionRecord(
        kind=decision.kind,
        reasons=alert.reasons,
        severity=alert.severity,
        alert_id=alert_id(source, RULE, alert.start),
        closed_for=decision.closed_for,
        incident_id=None if incident is None else incident.id,
    )
