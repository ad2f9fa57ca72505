"""Moments and labels for the tests of metrics."""

from __future__ import annotations

from dataclasses import replace

from worker.core import rfc3339
from worker.core.events import Modality
from worker.core.policy import Budget
from worker.core.rfc3339 import seconds
from worker.evaluation.evaluate import Settings
from worker.evaluation.labels import EventLabel, Time
from worker.evaluation.moments import Judged

START = rfc3339.parse("2026-03-14T09:00:00Z")
SETTINGS = Settings(Budget(0.01), 2.0, seconds(10), 50, 0)


def moment(at: int, p_value: float | None = 0.5, source: str = "/a", **other: object) -> Judged:
    """Return a Moment of a second, `at` seconds after START."""
    usual = Judged(
        observation_id=f"{source} {at}",
        source=source,
        start=START + seconds(at),
        end=START + seconds(at + 1),
        p_value=p_value,
        experts={},
        present=(Modality.FRAME, Modality.AUDIO),
        told=False,
        alert_id=None,
    )
    return replace(usual, **other)  # type: ignore[arg-type]  # fields by name


def label(
    start: float, end: float, source: str = "/a", modality: Modality | None = None
) -> EventLabel:
    """Return a label by seconds after the first Observation."""
    begin, stop = (Time(seconds(each), is_relative=True) for each in (start, end))
    return EventLabel(source, begin, stop, "fire", modality)
