"""What was decided about alerts: the decision part of an Observation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from worker.core.alerts import CLOSED_FOR, ClosedFor, Kind
from worker.core.messages.reading import Fields
from worker.core.messages.writing import Document, without_none
from worker.core.policy import Severity

_KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """What was decided about alerts. `severity` and `alert_id` are None where `kind` is `none`.

    `closed_for` is why the alert ends with this Moment, None where it does not.
    """

    kind: Kind
    reasons: tuple[str, ...]
    severity: Severity | None
    alert_id: str | None
    closed_for: ClosedFor | None = None
    incident_id: str | None = None

    @property
    def said_about(self) -> str | None:
        """The id of the alert that is opened or updated."""
        return self.alert_id if self.kind in ("open", "update") else None

    @property
    def messages(self) -> tuple[Kind, ...]:
        """The types of the alert messages that come of it: none, one, or an opening and a close."""
        if self.kind == "none":
            return ()
        closes_at_once = self.kind == "open" and self.closed_for is not None
        return ("open", "close") if closes_at_once else (self.kind,)

    def document(self) -> Document:
        """Return the JSON object."""
        document: Document = {
            "kind": self.kind,
            "reasons": self.reasons,
            "severity": self.severity,
            "alert_id": self.alert_id,
            "closed_for": self.closed_for,
            "incident_id": self.incident_id,
        }
        return without_none(document, "closed_for", "incident_id")


def read_decision(fields: Fields) -> DecisionRecord:
    """Return the decision in a JSON object. Raises ValueError."""
    return DecisionRecord(
        kind=fields.choice("kind", _KINDS),
        reasons=fields.texts("reasons"),
        severity=fields.nullable("severity", lambda name: fields.choice(name, tuple(Severity))),
        alert_id=fields.nullable("alert_id", fields.text),
        closed_for=fields.optional("closed_for", lambda name: fields.choice(name, CLOSED_FOR)),
        incident_id=fields.optional("incident_id", fields.text),
    )
