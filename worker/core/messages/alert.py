"""The Alert: what the people who watch get to see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from worker.core import rfc3339
from worker.core.alerts import CLOSED_FOR, ClosedFor
from worker.core.messages.assessment import (
    ExpertScore,
    check_unit,
    read_scores,
    scores_document,
)
from worker.core.messages.explanation import Explanation, read_explanation
from worker.core.messages.parts import (
    InputRef,
    Modalities,
    check_window,
    read_inputs,
    read_modalities,
)
from worker.core.messages.reading import Fields, fields_of
from worker.core.messages.writing import Document, in_order, without_none
from worker.core.policy import Severity

AlertType = Literal["open", "update", "close"]
_TYPES: tuple[AlertType, ...] = get_args(AlertType)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where to look: the events, the Observation with all numbers, and a stored picture if any."""

    event_ids: tuple[str, ...]
    observation_id: str
    snapshot: str | None = None

    def document(self) -> Document:
        """Return the JSON object."""
        return {
            "event_ids": self.event_ids,
            "observation_id": self.observation_id,
            "snapshot": self.snapshot,
        }


@dataclass(frozen=True, slots=True)
class Alert:
    """One message in the life of an alert: it opens with `sequence` 0, is updated, and closes.

    The window is that of the Moment which caused the message; times in microseconds since the
    epoch. `score` and `threshold` are in [0, 1], on one scale, higher is more abnormal; `p_value`
    in [0, 1] is None where the alert rests on a trigger and not on statistics. `closed_for` says
    why it closes, None with other messages. `explanation` and
    `sentence`, for a person, are None where the Moment is not unusual. `incident_id` is shared with
    alerts of neighbouring sources, None where the source has no neighbours.
    """

    alert_id: str
    sequence: int
    type: AlertType
    source: str
    window_start: int
    window_end: int
    severity: Severity
    reasons: tuple[str, ...]
    score: float
    p_value: float | None
    threshold: float
    modalities: Modalities
    contributions: Mapping[str, float]
    consistency: Mapping[str, ExpertScore]
    evidence: Evidence
    model: str
    config_hash: str
    inputs: tuple[InputRef, ...]
    degraded: tuple[str, ...]
    traceparent: str | None = None
    closed_for: ClosedFor | None = None
    explanation: Explanation | None = None
    sentence: str | None = None
    incident_id: str | None = None

    def __post_init__(self) -> None:
        check_window(self.window_start, self.window_end)
        check_unit("score", self.score)
        check_unit("p_value", self.p_value)
        check_unit("threshold", self.threshold)

    @property
    def message_id(self) -> str:
        """Unique per message, for `ce_id`: `alert_id` alone names the whole alert."""
        return f"{self.alert_id}-{self.sequence}"

    def document(self) -> Document:
        """Return the JSON object."""
        document: Document = {
            "alert_id": self.alert_id,
            "sequence": self.sequence,
            "type": self.type,
            "closed_for": self.closed_for,
            "incident_id": self.incident_id,
            "source": self.source,
            "window_start": rfc3339.format(self.window_start),
            "window_end": rfc3339.format(self.window_end),
            "severity": self.severity,
            "reasons": self.reasons,
            "sentence": self.sentence,
            "score": self.score,
            "p_value": self.p_value,
            "threshold": self.threshold,
            "modalities": self.modalities.document(),
            "contributions": in_order(self.contributions),
            "consistency": scores_document(self.consistency),
            "explanation": None if self.explanation is None else self.explanation.document(),
            "evidence": self.evidence.document(),
            "model": self.model,
            "config_hash": self.config_hash,
            "inputs": [each.document() for each in self.inputs],
            "degraded": self.degraded,
            "traceparent": self.traceparent,
        }
        return without_none(
            document, "closed_for", "incident_id", "sentence", "explanation", "traceparent"
        )


def read_alert(value: bytes) -> Alert:
    """Return the Alert in a record's value. Raises ValueError."""
    fields = fields_of(value, "alert")
    return Alert(
        alert_id=fields.text("alert_id"),
        sequence=fields.integer("sequence"),
        type=fields.choice("type", _TYPES),
        source=fields.text("source"),
        window_start=fields.time("window_start"),
        window_end=fields.time("window_end"),
        severity=fields.choice("severity", tuple(Severity)),
        reasons=fields.texts("reasons"),
        score=fields.number("score"),
        p_value=fields.nullable("p_value", fields.number),
        threshold=fields.number("threshold"),
        modalities=read_modalities(fields),
        contributions=fields.numbers("contributions"),
        consistency=read_scores(fields, "consistency"),
        evidence=_read_evidence(fields.nested("evidence")),
        model=fields.text("model"),
        config_hash=fields.text("config_hash"),
        inputs=read_inputs(fields),
        degraded=fields.texts("degraded"),
        traceparent=fields.optional("traceparent", fields.text),
        closed_for=fields.optional("closed_for", lambda name: fields.choice(name, CLOSED_FOR)),
        explanation=read_explanation(fields),
        sentence=fields.optional("sentence", fields.text),
        incident_id=fields.optional("incident_id", fields.text),
    )


def _read_evidence(fields: Fields) -> Evidence:
    return Evidence(
        event_ids=fields.texts("event_ids"),
        observation_id=fields.text("observation_id"),
        snapshot=fields.nullable("snapshot", fields.text),
    )
