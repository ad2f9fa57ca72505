"""Confidence intervals by a block bootstrap: consecutive Moments are alike, so blocks are drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
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


@dataclass(frozen=True, slots=True)
class Resamples:
    """How often each block is in each resample, (count, blocks), and each Moment's block, (n,)."""

    times: Array
    block: Array

    def weights(self, which: Array) -> Iterator[Array]:
        """Yield per resample how often it has each of some Moments; `which` is (n,) bool."""
        block = self.block[which]
        for times in self.times:
            yield times[block]


def draw(moments: Sequence[Judged], block: int, count: int, seed: int) -> Resamples:
    """Draw blocks, stretches of `block` microseconds of one source, as many as there are."""
    names = [(moment.source, moment.start // block) for moment in moments]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    random, size = np.random.default_rng(seed), len(numbers)
    drawn = random.integers(0, size, (count, size))
    times = np.stack([np.bincount(row, minlength=size) for row in drawn]).astype(float)
    return Resamples(times, np.array([numbers[name] for name in names]))


def interval(value: float, resampled: Array) -> Interval:
    """Return a number with the percentiles of its resampled values, less those that are NaN."""
    known = resampled[~np.isnan(resampled)]
    if len(known) < MIN_DRAWS:
        return Interval(value, None, None)
    low, high = np.percentile(known, (LOW, HIGH))
    return Interval(value, float(low), float(high))


def resampled(measure: Callable[[Array], float | None], weights: Iterable[Array]) -> Array:
    """Return the measure of each resample, (count,); NaN where there is none."""
    values = (measure(row) for row in weights)
    return np.array([np.nan if value is None else value for value in values], dtype=float)
