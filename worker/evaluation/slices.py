"""The parts of the Moments that are measured by themselves, and what is measured of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from worker.core.events import MODALITIES
from worker.evaluation import metrics
from worker.evaluation.bootstrap import Interval, Resamples, interval, resampled
from worker.evaluation.metrics import Array
from worker.evaluation.moments import Event, Judged

Metric = Callable[[Array, Array, Array | None], float]


@dataclass(frozen=True, slots=True)
class Slice:
    """Some of the Moments: `which` (n,) bool; `p` (n,) is only read where it is true."""

    group: str
    name: str
    which: Array
    p: Array


@dataclass(frozen=True, slots=True)
class Measured:
    """The numbers of one slice; None where it has only one class, or nothing normal."""

    group: str
    name: str
    moments: int
    unusual: int
    auroc: Interval | None
    average_precision: Interval | None
    recall_at_budget: Interval | None
    f1_at_budget: float | None
    best_f1: float | None
    calibration_error: float | None
    uniformity: float | None
    share_below_budget: float | None
    resampled: dict[str, Array] = field(default_factory=dict, repr=False, compare=False)

    def document(self) -> dict[str, object]:
        """Return the JSON object."""
        intervals = ("auroc", "average_precision", "recall_at_budget")
        numbers = ("f1_at_budget", "best_f1", "calibration_error", "uniformity")
        told = {name: getattr(self, name) for name in intervals}
        return {
            "group": self.group,
            "name": self.name,
            "moments": self.moments,
            "unusual": self.unusual,
            **{name: None if it is None else it.document() for name, it in told.items()},
            **{name: getattr(self, name) for name in numbers},
            "normal_share_below_budget": self.share_below_budget,
        }


def slices(moments: Sequence[Judged], found: Sequence[Event]) -> Iterator[Slice]:
    """Yield all Moments, then those by modality of the label, expert, mask, source, day part."""
    p = np.array([1.0 if moment.p_value is None else moment.p_value for moment in moments])
    whole = np.ones(len(moments), dtype=bool)
    yield Slice("all", "all", whole, p)
    unusual = labelled(moments, found)
    for modality in MODALITIES:
        own = labelled(moments, [event for event in found if event.modality is modality])
        if own.any():
            yield Slice("labels of", str(modality), own | ~unusual, p)
    for expert in sorted({name for moment in moments for name in moment.experts}):
        heard = np.array([expert in moment.experts for moment in moments])
        alone = np.array([moment.experts.get(expert, 1.0) for moment in moments])
        yield Slice("expert", expert, heard, alone)
    for group, names in (
        ("modalities", [moment.mask for moment in moments]),
        ("source", [moment.source for moment in moments]),
        ("day part", [moment.day_part for moment in moments]),
    ):
        for name in dict.fromkeys(sorted(names)):
            yield Slice(group, name, np.array([each == name for each in names]), p)


def labelled(moments: Sequence[Judged], found: Sequence[Event]) -> Array:
    """Return which Moments show a part of an event: (n,) bool."""
    by_source: dict[str, list[Event]] = {}
    for event in found:
        by_source.setdefault(event.source, []).append(event)
    return np.array(
        [any(event.covers(m) for event in by_source.get(m.source, ())) for m in moments], dtype=bool
    )


def measure(part: Slice, unusual: Array, alpha: float, resamples: Resamples) -> Measured:
    """Return the numbers of a slice, a Moment being unusual at p <= `alpha`."""
    y, p = unusual[part.which], part.p[part.which]
    both, normal = metrics.has_both(y), p[~y]
    taken: Mapping[str, Metric] = {
        "auroc": metrics.auroc,
        "average_precision": metrics.average_precision,
        "recall_at_budget": partial(metrics.recall_at, alpha),
    }
    again = {
        name: _resampled(of, y, p, resamples.weights(part.which))
        for name, of in (taken.items() if both else ())
    }
    intervals = {name: interval(taken[name](y, p, None), values) for name, values in again.items()}
    return Measured(
        group=part.group,
        name=part.name,
        moments=len(y),
        unusual=int(y.sum()),
        auroc=intervals.get("auroc"),
        average_precision=intervals.get("average_precision"),
        recall_at_budget=intervals.get("recall_at_budget"),
        f1_at_budget=metrics.f1_at(alpha, y, p) if both else None,
        best_f1=metrics.best_f1(y, p) if both else None,
        calibration_error=metrics.calibration_error(normal) if len(normal) else None,
        uniformity=metrics.uniformity(normal) if len(normal) else None,
        share_below_budget=float((normal <= alpha).mean()) if len(normal) else None,
        resampled=again,
    )


def _resampled(of: Metric, unusual: Array, p: Array, drawn: Iterable[Array]) -> Array:
    return resampled(
        lambda weights: of(unusual, p, weights) if metrics.has_both(unusual, weights) else None,
        drawn,
    )
