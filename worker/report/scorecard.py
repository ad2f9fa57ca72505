"""Labelled events against alerts: hit or missed, how fast, for the right reason. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from worker.core.messages import Alert
from worker.core.rfc3339 import MICROSECONDS, seconds
from worker.report.model import LabelOutcome, LabelSpan

TOLERANCE = seconds(3)  # after its end, an alert may still be the event's
REASONS = {"frame": "visual", "audio": "audio", "caption": "text"}


@dataclass(frozen=True, slots=True)
class AlertLife:
    """All messages of one alert, in order; `end` is that of the last Moment it covers."""

    messages: tuple[Alert, ...]
    end: int

    @property
    def opening(self) -> Alert:
        """The first message."""
        return self.messages[0]

    @property
    def closed(self) -> bool:
        """Whether its end was announced."""
        return self.messages[-1].type == "close"

    @property
    def reasons(self) -> tuple[str, ...]:
        """All reasons that were named, in the order in which they came up."""
        return tuple(dict.fromkeys(r for message in self.messages for r in message.reasons))


def lives(alerts: Iterable[Alert], last_moments: Mapping[str, int]) -> list[AlertLife]:
    """Group messages by alert, in opening order; `last_moments` ends those that are still open."""
    groups: dict[str, list[Alert]] = {}
    for alert in alerts:
        groups.setdefault(alert.alert_id, []).append(alert)
    found = []
    for messages in groups.values():
        ordered = tuple(sorted(messages, key=lambda message: message.sequence))
        last = ordered[-1]
        end = last.window_end if last.type == "close" else last_moments[last.source]
        found.append(AlertLife(ordered, end))
    return sorted(found, key=lambda life: (life.opening.window_end, life.opening.source))


def belongs(message: Alert, source: str, label: LabelSpan) -> bool:
    """Tell whether a message speaks of the labelled event: it says something new while it lasts."""
    fresh = message.type != "close"
    return (
        fresh
        and message.source == source
        and label.start < message.window_end <= label.end + TOLERANCE
    )


def label_of(life: AlertLife, labels: Mapping[str, Sequence[LabelSpan]]) -> LabelSpan | None:
    """Return the labelled event of an alert, or None where it is a false alarm."""
    source = life.opening.source
    for label in labels.get(source, ()):
        if any(belongs(message, source, label) for message in life.messages):
            return label
    return None


def outcomes(
    found: Sequence[AlertLife], labels: Mapping[str, Sequence[LabelSpan]]
) -> tuple[LabelOutcome, ...]:
    """Return what became of every labelled event, in time order.

    The first message that belongs to an event detects it: its time and its reasons count.
    """
    results = [
        _outcome(source, label, found) for source, spans in labels.items() for label in spans
    ]
    return tuple(sorted(results, key=lambda result: (result.start, result.source)))


def _outcome(source: str, label: LabelSpan, found: Sequence[AlertLife]) -> LabelOutcome:
    messages = (message for life in found for message in life.messages)
    telling = (message for message in messages if belongs(message, source, label))
    first = min(telling, key=lambda message: message.window_end, default=None)
    return LabelOutcome(
        kind=label.kind,
        source=source,
        start=label.start,
        end=label.end,
        natural=label.natural,
        hit=first is not None,
        seconds_to_detect=None if first is None else _seconds_after(label, first),
        right_reason=None if first is None else _names(first.reasons, label.modality),
        note=label.note,
    )


def _names(reasons: Sequence[str], modality: str) -> bool:
    """Tell whether a reason is about the modality, with or without a detail (`visual:covered`)."""
    return REASONS[modality] in {reason.partition(":")[0] for reason in reasons}


def _seconds_after(label: LabelSpan, message: Alert) -> float:
    return (message.window_end - label.start) / MICROSECONDS
