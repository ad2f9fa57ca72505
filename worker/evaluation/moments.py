"""Observations and labelled events as what metrics are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from worker.core.events import MODALITIES, Modality
from worker.core.messages import Observation
from worker.errors import OperatorError
from worker.evaluation.labels import EventLabel
from worker.report.scorecard import TOLERANCE

HOUR = 3_600_000_000  # microseconds
DAY_PARTS = ("night", "morning", "afternoon", "evening")  # six hours each, UTC


@dataclass(frozen=True, slots=True)
class Judged:
    """What an Observation says, less its features; times in microseconds since the epoch.

    `p_value` is None where the source was still warming up. `told`: an alert opened, or grew.
    """

    observation_id: str
    source: str
    start: int
    end: int
    p_value: float | None
    experts: Mapping[str, float]
    present: tuple[Modality, ...]
    told: bool
    alert_id: str | None

    @property
    def mask(self) -> str:
        """The modalities that spoke, as in `frame+audio`."""
        return "+".join(self.present) or "none"

    @property
    def day_part(self) -> str:
        """A quarter of the day, UTC."""
        return DAY_PARTS[self.start // (6 * HOUR) % 4]


@dataclass(frozen=True, slots=True)
class Event:
    """A labelled event at absolute times `[start, end)`, in microseconds since the epoch."""

    source: str
    start: int
    end: int
    kind: str
    modality: Modality | None

    def covers(self, moment: Judged) -> bool:
        """Tell whether a Moment shows a part of it."""
        return self.source == moment.source and moment.start < self.end and self.start < moment.end

    def is_told_by(self, moment: Judged) -> bool:
        """Tell whether an alert says something new about it, while it lasts or shortly after."""
        in_time = self.start < moment.end <= self.end + TOLERANCE
        return moment.told and self.source == moment.source and in_time


def judged(observations: Iterable[Observation]) -> list[Judged]:
    """Return what is to be measured; Observations that only amend others are left out."""
    return [_judged(each) for each in observations if each.amends is None]


def events(labels: Iterable[EventLabel], moments: Sequence[Judged]) -> tuple[list[Event], int]:
    """Return the labelled events that a Moment shows, and how many labels none does.

    Raises OperatorError where that is all of them, or where there are no Moments.
    """
    if not moments:
        raise OperatorError("there are no Observations to evaluate.")
    by_source: dict[str, list[Judged]] = {}
    for moment in moments:
        by_source.setdefault(moment.source, []).append(moment)
    origins = beginnings(moments)
    found: list[Event] = []
    missed = 0
    for label in labels:
        seen = by_source.get(label.source, [])
        origin = origins.get(label.source, 0)
        start, end = label.start.resolved(origin), label.end.resolved(origin)
        event = Event(label.source, start, end, label.kind, label.modality)
        if any(event.covers(moment) for moment in seen):
            found.append(event)
        else:
            missed += 1
    if not found:
        raise OperatorError(
            "no label matches an Observation: sources are compared as they are, such as"
            f" {moments[0].source}, and times with those of the Observations."
        )
    return sorted(found, key=lambda each: (each.start, each.source)), missed


def beginnings(moments: Iterable[Judged]) -> dict[str, int]:
    """Return by source the start of its first Moment, from which relative labels count."""
    found: dict[str, int] = {}
    for each in moments:
        found[each.source] = min(each.start, found.get(each.source, each.start))
    return found


def _judged(one: Observation) -> Judged:
    spoke = {*one.modalities.present, *one.modalities.carried, *one.modalities.derived}
    experts = {name: each.p_value for name, each in one.assessment.opinions.items()}
    return Judged(
        observation_id=one.observation_id,
        source=one.source,
        start=one.window_start,
        end=one.window_end,
        p_value=one.assessment.p_value,
        experts={name: p for name, p in experts.items() if p is not None},
        present=tuple(modality for modality in MODALITIES if modality in spoke),
        told=one.decision.kind in {"open", "update"},
        alert_id=one.decision.alert_id,
    )
