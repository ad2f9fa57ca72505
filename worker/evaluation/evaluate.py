"""Several runs over the same events, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from worker.core.policy import DAY_SECONDS, Budget
from worker.core.rfc3339 import MICROSECONDS
from worker.core.rfc3339 import format as utc
from worker.errors import OperatorError
from worker.evaluation import bootstrap, metrics
from worker.evaluation.bootstrap import Interval, Resamples
from worker.evaluation.labels import EventLabel
from worker.evaluation.metrics import Array
from worker.evaluation.moments import Event, Judged, beginnings, events
from worker.evaluation.slices import Measured, labelled, measure, slices


@dataclass(frozen=True, slots=True)
class Settings:
    """How to measure. `budget` is the threshold that counts; durations in microseconds."""

    budget: Budget
    false_alarms_per_day: float
    block: int
    resamples: int
    seed: int


@dataclass(frozen=True, slots=True)
class Found:
    """What became of an event: after how many seconds an alert told of it; None: missed."""

    event: Event
    seconds: float | None

    def document(self) -> dict[str, object]:
        """Return the JSON object."""
        event = self.event
        return {
            "source": event.source,
            "start": utc(event.start),
            "end": utc(event.end),
            "kind": event.kind,
            "modality": event.modality,
            "seconds_to_detect": self.seconds,
        }


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run: numbers per slice, what became of each event, and the curves of all Moments.

    `false_alarms` are alerts that told of no event, in `source_days`.
    """

    name: str
    measured: tuple[Measured, ...]
    found: tuple[Found, ...]
    alerts: int
    false_alarms: int
    source_days: float
    roc: tuple[tuple[float, float], ...]
    pr: tuple[tuple[float, float], ...]

    @property
    def whole(self) -> Measured:
        """The numbers of all Moments."""
        return self.measured[0]

    @property
    def seconds_to_detect(self) -> float | None:
        """The median over the events that were found."""
        times = [each.seconds for each in self.found if each.seconds is not None]
        return float(np.median(times)) if times else None

    @property
    def events_found(self) -> int:
        """How many events an alert told of."""
        return sum(each.seconds is not None for each in self.found)

    def document(self) -> dict[str, object]:
        """Return the JSON object."""
        return {
            "name": self.name,
            "events": len(self.found),
            "events_found": self.events_found,
            "median_seconds_to_detect": self.seconds_to_detect,
            "alerts": self.alerts,
            "false_alarms": self.false_alarms,
            "false_alarms_per_source_and_day": self.false_alarms / self.source_days,
            "slices": [each.document() for each in self.measured],
            "outcomes": [each.document() for each in self.found],
            "roc": self.roc,
            "precision_recall": self.pr,
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All runs on the Moments that each of them has judged.

    `differences` are of all Moments, each run less the first one, by metric.
    """

    runs: tuple[RunResult, ...]
    differences: tuple[Mapping[str, Interval], ...]
    settings: Settings
    moments: int
    left_out: int
    labels_without_moments: int

    def document(self) -> dict[str, object]:
        """Return the JSON object."""
        settings = self.settings
        return {
            "moments": self.moments,
            "left_out": self.left_out,
            "labels_without_moments": self.labels_without_moments,
            "false_alarms_per_day": settings.false_alarms_per_day,
            "alpha": settings.budget.alpha,
            "block_seconds": settings.block / MICROSECONDS,
            "resamples": settings.resamples,
            "seed": settings.seed,
            "runs": [each.document() for each in self.runs],
            "differences_to_first": [
                {name: each.document() for name, each in one.items()} for one in self.differences
            ],
        }


def evaluate(
    runs: Mapping[str, Sequence[Judged]], labels: Sequence[EventLabel], settings: Settings
) -> Evaluation:
    """Measure all runs on the Moments that each of them has judged. Raises OperatorError."""
    first = next(iter(runs.values()))
    _check_beginnings(runs, labels)
    found, missed = events(labels, first)
    common = _common(runs)
    unusual = labelled(common[0], found)
    if not metrics.has_both(unusual):
        only = "unusual" if unusual.any() else "normal"
        raise OperatorError(
            f"all {len(unusual)} judged Moments are {only} by their labels: give some of both."
        )
    resamples = bootstrap.draw(common[0], settings.block, settings.resamples, settings.seed)
    results = tuple(
        _result(name, whole, judged, found, unusual, resamples, settings)
        for (name, whole), judged in zip(runs.items(), common, strict=True)
    )
    return Evaluation(
        runs=results,
        differences=tuple(_difference(each.whole, results[0].whole) for each in results[1:]),
        settings=settings,
        moments=len(unusual),
        left_out=max(map(len, runs.values())) - len(unusual),
        labels_without_moments=missed,
    )


def _check_beginnings(runs: Mapping[str, Sequence[Judged]], labels: Sequence[EventLabel]) -> None:
    """Raise OperatorError where labels in seconds would mean other times in other runs."""
    origins = {name: beginnings(run) for name, run in runs.items()}
    for source in sorted({each.source for each in labels if each.is_relative}):
        begins = {name: own[source] for name, own in origins.items() if source in own}
        if len(set(begins.values())) > 1:
            told = ", ".join(f"{utc(begin)} in {name}" for name, begin in begins.items())
            raise OperatorError(
                f"labels count seconds from the first Observation of {source}, which is at {told}:"
                " give runs over the same times, or labels with RFC 3339 times."
            )


def _common(runs: Mapping[str, Sequence[Judged]]) -> list[list[Judged]]:
    """Return the Moments that all runs have judged, in one order."""
    tables = [
        {each.observation_id: each for each in run if each.p_value is not None}
        for run in runs.values()
    ]
    names = [name for name in tables[0] if all(name in table for table in tables)]
    if not names:
        raise OperatorError(
            "there is no Moment that was judged in every run: sources were still warming up, or"
            " the runs are of other footage or times."
        )
    return [[table[name] for name in names] for table in tables]


def _result(
    name: str,
    whole: Sequence[Judged],
    judged: Sequence[Judged],
    found: Sequence[Event],
    unusual: Array,
    resamples: Resamples,
    settings: Settings,
) -> RunResult:
    alpha = settings.budget.alpha
    measured = tuple(measure(part, unusual, alpha, resamples) for part in slices(judged, found))
    p = np.array([each.p_value for each in judged], dtype=float)
    told = [moment for moment in whole if moment.told]
    alerts = {moment.alert_id for moment in told}
    true = {m.alert_id for m in told if any(event.is_told_by(m) for event in found)}
    days = sum(moment.end - moment.start for moment in whole) / MICROSECONDS / DAY_SECONDS
    return RunResult(
        name=name,
        measured=measured,
        found=tuple(_found(event, told) for event in found),
        alerts=len(alerts),
        false_alarms=len(alerts - true),
        source_days=days,
        roc=tuple(metrics.roc_points(unusual, p)),
        pr=tuple(metrics.pr_points(unusual, p)),
    )


def _found(event: Event, told: Sequence[Judged]) -> Found:
    first = min((moment.end for moment in told if event.is_told_by(moment)), default=None)
    return Found(event, None if first is None else (first - event.start) / MICROSECONDS)


def _difference(one: Measured, first: Measured) -> dict[str, Interval]:
    """Return each metric less that of the first run; the resamples are the same ones."""
    found: dict[str, Interval] = {}
    for name, values in one.resampled.items():
        mine, other = getattr(one, name), getattr(first, name)
        found[name] = bootstrap.interval(mine.value - other.value, values - first.resampled[name])
    return found
