"""One alert per event: debounce, open, update, close, cooldown. One AlertState per source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from worker.core.incidents import Incident
from worker.core.policy import Budget, Severity
from worker.core.quiet import QuietTimes, Rest
from worker.core.verdicts import Verdict, factor

DEBOUNCE_OF = 3  # an alert opens when two of so many Moments in a row are unusual
DEBOUNCE_NEEDS = 2
CLOSE_AFTER = 3  # Moments in a row that are not even near the threshold
NEAR = 10.0  # times alpha: an open alert stays open below it,
CALM = 0.5  # but not above this p-value, where a large alpha would never let one close

Kind = Literal["none", "open", "update", "close"]
ClosedFor = Literal["calm", "silence", "budget", "mute", "maintenance", "schedule", "learn_anew"]
Suppression = Literal[
    "debounce", "cooldown", "mute", "maintenance", "schedule", "false_discovery_rate"
]
CLOSED_FOR: tuple[ClosedFor, ...] = get_args(ClosedFor)
SUPPRESSIONS: tuple[Suppression, ...] = get_args(Suppression)
RULE = "anomaly"


@dataclass(frozen=True, slots=True)
class Finding:
    """What an alert decision looks at. `p_value` is None where the source is still warming up.

    `silent_after`: the source falls silent with this Moment, the last one until it speaks again.
    """

    start: int
    end: int
    p_value: float | None
    reasons: tuple[str, ...]
    silent_after: bool = False


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """The alert of a source that is open now; `start` is that of its first unusual Moment."""

    start: int
    sequence: int
    severity: Severity
    reasons: tuple[str, ...]
    p_value: float
    calm: int = 0  # Moments in a row that were not near the threshold

    @property
    def following(self) -> OpenAlert:
        """The same alert, as its next message has it."""
        return replace(self, sequence=self.sequence + 1)


@dataclass(frozen=True, slots=True)
class AlertState:
    """All that decisions about one source remember."""

    recent: tuple[Finding, ...] = ()
    alert: OpenAlert | None = None
    quiet_until: int = 0  # no alert opens before this event time
    verdicts: tuple[Verdict, ...] = ()  # of people, about its alerts
    incident: Incident | None = None  # that its newest alert belongs to

    @property
    def begun_anew(self) -> AlertState:
        """What is left when the source's normality begins anew: an open alert is still to close."""
        return AlertState(alert=self.alert, quiet_until=self.quiet_until, incident=self.incident)


@dataclass(frozen=True, slots=True)
class Decision:
    """Nothing, or what to say about the alert; `suppressed` names why none was opened.

    `closed_for` is why the alert ends with this Moment, with `close`, or with `open` where the
    Moment is the source's last: then an opening and a close are said at once.
    """

    kind: Kind
    alert: OpenAlert | None = None
    suppressed: Suppression | None = None
    closed_for: ClosedFor | None = None


NOTHING = Decision("none")


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """The rules of a source; `cooldown` in microseconds after a close.

    `severities` say how severe an alert is at least that has a reason. No alert opens with a
    p-value above `level`, whatever the budget.
    """

    budget: Budget
    cooldown: int
    quiet: QuietTimes = field(default_factory=QuietTimes)
    severities: Mapping[str, Severity] = field(default_factory=dict)
    level: float = 1.0

    def adapted(self, state: AlertState) -> AlertPolicy:
        """Return the policy with the threshold that people's verdicts have moved."""
        moved = factor(state.verdicts)
        return self if moved == 1 else replace(self, budget=self.budget.times(moved))

    def may_open(self, state: AlertState, finding: Finding) -> bool:
        """Tell whether an alert could open with the next Moment, by the time and the budget."""
        return (
            finding.p_value is not None
            and state.alert is None
            and finding.start >= state.quiet_until
            and self.budget.alpha > 0
            and self.quiet.why(finding.start) is None
        )

    def decide(
        self, state: AlertState, finding: Finding, *, anew: bool = False
    ) -> tuple[AlertState, Decision]:
        """Return the next state and what to say. Moments of a source come in time order.

        `anew`: with this Moment the source's normality begins anew, which ends an alert.
        """
        before = state.begun_anew if anew else state
        after, decision = self.adapted(before)._decided(before, finding, anew)
        return replace(after, verdicts=before.verdicts, incident=before.incident), decision

    def _decided(
        self, state: AlertState, finding: Finding, anew: bool
    ) -> tuple[AlertState, Decision]:
        rest = self.quiet.why(finding.start)
        if state.alert is not None:
            closed_for = "learn_anew" if anew else rest or self._without_budget()
            if closed_for:
                return self._close(state.alert, finding, closed_for)
        after, decision = self._judge(state, finding, rest)
        if after.alert is None or not finding.silent_after:
            return after, decision
        unsaid = 1 if decision.kind == "update" else 0  # the close says it as well
        last = replace(after.alert, sequence=after.alert.sequence - unsaid)
        quiet, close = self._close(last, finding, "silence")
        return quiet, replace(decision, closed_for="silence") if decision.kind == "open" else close

    def _judge(
        self, state: AlertState, finding: Finding, rest: Rest | None
    ) -> tuple[AlertState, Decision]:
        if finding.p_value is None:
            return state, NOTHING
        if state.alert is not None:
            return self._follow(state, state.alert, finding, finding.p_value)
        return self._watch(state, finding, finding.p_value, rest)

    def _without_budget(self) -> ClosedFor | None:
        return None if self.budget.alpha else "budget"

    def _watch(
        self, state: AlertState, finding: Finding, p_value: float, rest: Rest | None
    ) -> tuple[AlertState, Decision]:
        recent = (*state.recent, finding)[-DEBOUNCE_OF:]
        watching = replace(state, recent=recent)
        if not self.budget.exceeds(p_value):
            return watching, NOTHING
        unusual = [f for f in recent if f.p_value is not None and self.budget.exceeds(f.p_value)]
        if len(unusual) < DEBOUNCE_NEEDS and not self.budget.is_certain(p_value):
            return watching, Decision("none", suppressed="debounce")
        if rest is not None:
            return watching, Decision("none", suppressed=rest)
        if finding.start < state.quiet_until:
            return watching, Decision("none", suppressed="cooldown")
        if p_value > self.level:
            return watching, Decision("none", suppressed="false_discovery_rate")
        strongest = min(f.p_value for f in unusual if f.p_value is not None)
        reasons = _union(*(f.reasons for f in unusual))
        alert = OpenAlert(
            start=unusual[0].start,
            sequence=0,
            severity=self._severity(strongest, reasons),
            reasons=reasons,
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
            return self._close(calm, finding, "calm")
        stronger = replace(alert, p_value=min(alert.p_value, p_value), calm=0)
        if self.budget.exceeds(p_value):
            stronger = self._grown(stronger, finding)
        if (stronger.severity, stronger.reasons) == (alert.severity, alert.reasons):
            return replace(state, alert=stronger), NOTHING
        updated = stronger.following
        return replace(state, alert=updated), Decision("update", updated)

    def _grown(self, alert: OpenAlert, finding: Finding) -> OpenAlert:
        """Return the alert after one more unusual Moment; its severity never falls."""
        reasons = _union(alert.reasons, finding.reasons)
        severity = self._severity(alert.p_value, reasons, finding.end - alert.start)
        worst = max(alert.severity, severity, key=lambda each: each.rank)
        return replace(alert, severity=worst, reasons=reasons)

    def _severity(self, p_value: float, reasons: tuple[str, ...], lasted: int = 0) -> Severity:
        least = (self.severities[each] for each in reasons if each in self.severities)
        return max((self.budget.severity(p_value, lasted), *least), key=lambda each: each.rank)

    def _close(
        self, alert: OpenAlert, finding: Finding, why: ClosedFor
    ) -> tuple[AlertState, Decision]:
        quiet = AlertState(quiet_until=finding.end + self.cooldown)
        return quiet, Decision("close", alert.following, closed_for=why)


def _union(*groups: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(reason for group in groups for reason in group))
