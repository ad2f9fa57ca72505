"""One alert per event: debounce, open, update, close, cooldown. One AlertState per source."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from worker.core.policy import Budget, Severity

DEBOUNCE_OF = 3  # an alert opens when two of so many Moments in a row are unusual
DEBOUNCE_NEEDS = 2
CLOSE_AFTER = 3  # Moments in a row that are not even near the threshold
NEAR = 10.0  # times alpha: an open alert stays open below it,
CALM = 0.5  # but not above this p-value, where a large alpha would never let one close

Kind = Literal["none", "open", "update", "close"]
RULE = "anomaly"


@dataclass(frozen=True, slots=True)
class Finding:
    """What an alert decision looks at. `p_value` is None where the source is still warming up."""

    start: int
    end: int
    p_value: float | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """The alert of a source that is open now; `start` is that of its first unusual Moment."""

    start: int
    sequence: int
    severity: Severity
    reasons: tuple[str, ...]
    p_value: float
    calm: int = 0  # Moments in a row that were not near the threshold


@dataclass(frozen=True, slots=True)
class AlertState:
    """All that decisions about one source remember."""

    recent: tuple[Finding, ...] = ()
    alert: OpenAlert | None = None
    quiet_until: int = 0  # no alert opens before this event time


@dataclass(frozen=True, slots=True)
class Decision:
    """Nothing, or what to say about the alert; `suppressed` names why none was opened."""

    kind: Kind
    alert: OpenAlert | None = None
    suppressed: str | None = None


NOTHING = Decision("none")


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """The rules of all sources; `cooldown` in microseconds after a close."""

    budget: Budget
    cooldown: int

    def decide(self, state: AlertState, finding: Finding) -> tuple[AlertState, Decision]:
        """Return the next state and what to say. Moments of a source come in time order."""
        if finding.p_value is None:
            return state, NOTHING
        if state.alert is not None:
            return self._follow(state, state.alert, finding, finding.p_value)
        return self._watch(state, finding, finding.p_value)

    def _watch(
        self, state: AlertState, finding: Finding, p_value: float
    ) -> tuple[AlertState, Decision]:
        recent = (*state.recent, finding)[-DEBOUNCE_OF:]
        watching = replace(state, recent=recent)
        if not self.budget.exceeds(p_value):
            return watching, NOTHING
        unusual = [f for f in recent if f.p_value is not None and self.budget.exceeds(f.p_value)]
        if len(unusual) < DEBOUNCE_NEEDS and not self.budget.is_certain(p_value):
            return watching, Decision("none", suppressed="debounce")
        if finding.start < state.quiet_until:
            return watching, Decision("none", suppressed="cooldown")
        strongest = min(f.p_value for f in unusual if f.p_value is not None)
        alert = OpenAlert(
            start=unusual[0].start,
            sequence=0,
            severity=self.budget.severity(strongest),
            reasons=_union(*(f.reasons for f in unusual)),
            p_value=strongest,
        )
        return replace(watching, recent=(), alert=alert), Decision("open", alert)

    def _follow(
        self, state: AlertState, alert: OpenAlert, finding: Finding, p_value: float
    ) -> tuple[AlertState, Decision]:
        alpha = self.budget.alpha
        if p_value > max(alpha, min(alpha * NEAR, CALM)):
            calm = replace(alert, calm=alert.calm + 1)
            if calm.calm < CLOSE_AFTER:
                return replace(state, alert=calm), NOTHING
            closed = replace(calm, sequence=alert.sequence + 1)
            quiet_until = finding.end + self.cooldown
            return AlertState(quiet_until=quiet_until), Decision("close", closed)
        reasons = alert.reasons
        if self.budget.exceeds(p_value):
            reasons = _union(alert.reasons, finding.reasons)
        severity = max(alert.severity, self.budget.severity(p_value), key=lambda s: s.rank)
        strongest = min(alert.p_value, p_value)
        stronger = replace(alert, severity=severity, reasons=reasons, p_value=strongest, calm=0)
        if (severity, reasons) == (alert.severity, alert.reasons):
            return replace(state, alert=stronger), NOTHING
        updated = replace(stronger, sequence=alert.sequence + 1)
        return replace(state, alert=updated), Decision("update", updated)


def _union(*groups: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(reason for group in groups for reason in group))
