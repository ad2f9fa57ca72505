"""Confidence intervals by a block bootstrap: consecutive Moments are alike, so blocks are drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from worker.evaluation.metrics import Array
from worker.evaluation.moments import Judged

LOW, HIGH = 2.5, 97.5  # percentiles
MIN_DRAWS = 20  # for which a number exists; with fewer there is no interval


@dataclass(frozen=True, slots=True)
class Interval:
    """A number with its 95% interval; `low` and `high` are None where it cannot be told."""

    value: float
    low: float | None
    high: float | None

    def document(self) -> dict[str, float | None]:
        """Return the JSON object."""
        return {"value": self.value, "low": self.low, "high": self.high}


def draws(moments: Sequence[Judged], block: int, count: int, seed: int) -> Array:
    """Return how often each Moment is in each resample: (count, n).

    Blocks are stretches of `block` microseconds of one source; as many as there are are drawn.
    """
    names = [(moment.source, moment.start // block) for moment in moments]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    member = np.array([numbers[name] for name in names])
    random, size = np.random.default_rng(seed), len(numbers)
    drawn = random.integers(0, size, (count, size))
    times = np.stack([np.bincount(row, minlength=size) for row in drawn])
    found: Array = times[:, member].astype(float)
    return found


def interval(value: float, resampled: Array) -> Interval:
    """Return a number with the percentiles of its resampled values, less those that are NaN."""
    known = resampled[~np.isnan(resampled)]
    if len(known) < MIN_DRAWS:
        return Interval(value, None, None)
    low, high = np.percentile(known, (LOW, HIGH))
    return Interval(value, float(low), float(high))


def resampled(measure: Callable[[Array], float | None], weights: Array) -> Array:
    """Return the measure of each resample (count,); NaN where there is none."""
    values = (measure(row) for row in weights)
    return np.array([np.nan if value is None else value for value in values], dtype=float)
