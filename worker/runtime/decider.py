"""Scores, decides and learns Moments one after the other: live, and again from Observations."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from worker.core.alerts import NOTHING, AlertState, Decision
from worker.core.false_discoveries import Discoveries
from worker.core.messages import DecisionRecord, Effect, Feedback, Heeded, Label
from worker.core.policy import Budget
from worker.core.verdicts import factor, with_verdict
from worker.runtime.alert_book import AlertBook
from worker.runtime.seen import Seen, decision_record
from worker.runtime.shadow import Shadow, Shadowed
from worker.scoring.explaining import Explained
from worker.scoring.recent import Mark, Meant
from worker.scoring.scored import Scored
from worker.scoring.scorer import Scorer


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
    shadow: Shadowed | None = None


class Decider:
    """Keeps the alerts of all sources of a partition index beside its scorer.

    With a `shadow` every Moment is decided about a second time.
    """

    def __init__(self, scorer: Scorer, alerts: AlertBook, shadow: Shadow | None = None) -> None:
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
        decision = self._alerts.decide(source, seen.finding(scored), anew=seen.begins_anew)
        incident = self._alerts.of(source).incident
        record = decision_record(source, decision, incident)
        explained = self._explained(seen, scored, budget)
        mark = Mark(seen.observation, record.said_about)
        self._scorer.learn(source, seen.features, time, scored, carried=carried, mark=mark)
        verdicts = self._alerts.of(source).verdicts
        return Judged(
            scored,
            decision,
            record,
            budget,
            heeded,
            explained,
            None if self._shadow is None else self._shadow.decide(seen, scored, verdicts, mark),
        )

    @property
    def fill(self) -> float:
        """The share of its bound that it remembers."""
        return self._alerts.fill

    @property
    def discoveries(self) -> Discoveries:
        """What the control of the false-discovery rate remembers."""
        return self._alerts.discoveries

    def alert_of(self, source: str) -> AlertState | None:
        """Return what is remembered for the alerts of a source."""
        return self._alerts.get(source)

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
        if self._shadow is not None:
            self._shadow.heed(said)
        effect, after = _effect(said, alerts, self._alerts.of(said.source))
        self._alerts.put(said.source, after)
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
