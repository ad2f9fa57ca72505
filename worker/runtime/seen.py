"""What judging looks at of a Moment, and what it says of it, apart from who judges."""

from __future__ import annotations

from dataclasses import dataclass

from worker.core.alerts import RULE, Decision, Finding
from worker.core.incidents import Incident
from worker.core.messages import DecisionRecord, Feedback, alert_id
from worker.scoring.experts import Features
from worker.scoring.scored import Scored


@dataclass(frozen=True, slots=True)
class Seen:
    """What judging looks at of a Moment; times in microseconds since the epoch.

    `observation` is the id of its Observation, `said` what people had said before it. A bundle in
    shadow looks at `shadowed`, None where there is none.
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
    shadowed: Features | None = None

    @property
    def begins_anew(self) -> bool:
        """Whether its source is to be learned anew."""
        return any(each.label == "learn_anew" for each in self.said)

    def finding(self, scored: Scored) -> Finding:
        """Return what is to be decided about."""
        return Finding(
            start=self.start,
            end=self.end,
            p_value=scored.assessment.p_value,
            reasons=scored.reasons,
            silent_after=self.silent_after,
        )


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
