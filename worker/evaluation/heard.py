"""What people have called an anomaly, as labelled events for `evaluate` and for training."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from worker.core.events import Modality
from worker.core.messages import Label, Observation
from worker.evaluation.labels import EventLabel, Time
from worker.scoring.experts import VOTE_OF_MODALITY

_MODALITY_OF_VOTE = {vote: modality for modality, vote in VOTE_OF_MODALITY.items()}


@dataclass(slots=True)
class _Life:
    """An alert from its first to its last Observation; `label` is the last word about it."""

    source: str
    start: int
    end: int
    reasons: tuple[str, ...]
    label: Label | None = None


def heard(observations: Iterable[Observation]) -> list[EventLabel]:
    """Return a labelled event for each alert that was last called an anomaly, in their order.

    It lasts from the Moment that opened the alert to the one that closed it; its kind is the
    alert's first reason.
    """
    lives: dict[str, _Life] = {}
    alert_of: dict[str, str] = {}  # by Observation
    for one in observations:
        decision = one.decision
        if decision.alert_id is not None:
            alert_of[one.observation_id] = decision.alert_id
            life = lives.setdefault(
                decision.alert_id,
                _Life(one.source, one.window_start, one.window_end, decision.reasons),
            )
            life.end = max(life.end, one.window_end)
        for each in one.heeded:
            said = each.feedback
            meant = said.alert_id or alert_of.get(said.observation_id or "")
            if each.effect in ("learned", "kept_out", "noted") and meant in lives:
                lives[meant].label = said.label
    return [_label(life) for life in lives.values() if life.label == "anomaly"]


def _label(life: _Life) -> EventLabel:
    start, end = (Time(micros, is_relative=False) for micros in (life.start, life.end))
    reason = life.reasons[0] if life.reasons else "anomaly"
    modality: Modality | None = _MODALITY_OF_VOTE.get(reason.partition(":")[0])
    return EventLabel(life.source, start, end, reason, modality)
