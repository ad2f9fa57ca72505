"""From raw scores to p-values: rank among normal scores, with a predictive tail."""

from __future__ import annotations

import hashlib
import struct
from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from worker.scoring.state import State

CAPACITY = 2000
TAIL = 0.1  # the share of the calibration scores that shapes the tail
SMALLEST = 1e-300  # stands for any smaller p-value
MIN_STANDARD = 8  # scores before a source knows its own median and spread
WIDTH = 4  # bytes of a drawn number


class Calibration:
    """Normal scores (n,), n >= 10, in ascending order."""

    def __init__(self, scores: NDArray[np.float64]) -> None:
        self._ordered = np.sort(scores)

    def __len__(self) -> int:
        return len(self._ordered)

    def p_value(self, score: float, tie: float, least_excess: float = 0.0) -> float:
        """Return what `p_value_among` says of it."""
        return p_value_among(self._ordered, score, tie, least_excess)


def p_value_among(
    ordered: Sequence[float] | NDArray[np.float64],
    score: float,
    tie: float,
    least_excess: float = 0.0,
) -> float:
    """Return P(a normal score >= `score`), in (0, 1], tie in (0, 1], by n scores in order of size.

    Up to the 90th percentile u: (#{s_i > s} + tie (1 + #{s_i = s})) / (n + 1).
    Above: with k excesses over u of sum S, TAIL (S / (S + s - u))^k, the predictive distribution of
    an exponential tail under Jeffreys' prior. It tends to TAIL exp(-(s - u) k / S) as k grows and
    stays heavier while few scores are known: an extrapolation, honest about its sample. S counts as
    at least k `least_excess`: how far harmless changes of a kind that the calibration has not seen
    yet go on average, in units of the score.
    """
    n, k = len(ordered), len(ordered) // 10
    begin = float(ordered[n - k - 1])
    if score > begin:
        excesses = np.array(ordered[n - k :], dtype=np.float64) - begin
        total = max(float(excesses.sum()), k * least_excess)
        if total > 0:
            return max(SMALLEST, TAIL * float((total / (total + score - begin)) ** k))
    end = bisect_right(ordered, score)
    if end and ordered[end - 1] == score:
        tie *= 1 + end - bisect_left(ordered, score)
    return (n - end + tie) / (n + 1)


class CalibrationRing:
    """The last normal scores of one expert of one source.

    They are finite, of single precision, and also kept in order of size: ranks and medians are then
    there to be read.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._scores = array("f")  # oldest first, from `_oldest` on, and again from the beginning
        self._oldest = 0
        self.ordered = array("f")  # smallest first
        self._standard: tuple[float, float] | None = None  # found when it is looked at

    def __len__(self) -> int:
        return len(self.ordered)

    def add(self, score: float) -> None:
        """Take in a score, for the oldest one where the ring is full."""
        self._standard = None
        if len(self._scores) < self._capacity:
            self._scores.append(score)
            insort(self.ordered, score)
            if len(self._scores) == self._capacity:  # they grow no more: no room to grow is kept
                self._scores, self.ordered = self._scores[:], self.ordered[:]
            return
        place = self._oldest
        self._exchange(self._scores[place], score)
        self._scores[place] = score
        self._oldest = (place + 1) % self._capacity

    def withdraw(self, score: float) -> None:
        """Take one such score out again, if there still is one."""
        if score in self._scores:
            self._scores = array("f", self._by_age())
            self._oldest = 0
            self._scores.remove(score)
            del self.ordered[bisect_left(self.ordered, score)]
            self._standard = None

    def state(self) -> State:
        """Return its scores, oldest first."""
        return {"scores": self._by_age()}

    def restore(self, state: State) -> None:
        """Take up the scores of another one of the same capacity."""
        self._scores, self._oldest = _compact(state["scores"]), 0
        self.ordered = _compact(np.sort(state["scores"]))
        self._standard = None

    def _exchange(self, old: float, new: float) -> None:
        """Put a score in the place of another one: only those between them move."""
        ordered = self.ordered
        before, after = bisect_left(ordered, old), bisect_right(ordered, new)
        if before < after:
            ordered[before : after - 1] = ordered[before + 1 : after]
            ordered[after - 1] = new
        else:
            ordered[after + 1 : before + 1] = ordered[after:before]
            ordered[after] = new

    def _by_age(self) -> NDArray[np.float32]:
        return self._newest(self._capacity).copy()

    def _newest(self, count: int) -> NDArray[np.float32]:
        """Return the last `count` scores, oldest first, or all of them; not to be kept."""
        scores, end = np.frombuffer(self._scores, np.float32), self._oldest
        if count <= end:
            return scores[end - count : end]
        return np.concatenate([scores[end:], scores[:end]])[-count:]

    @property
    def scores(self) -> NDArray[np.float64]:
        """A copy of the scores, oldest first."""
        return self._by_age().astype(np.float64)

    def p_value(self, score: float, tie: float, least_excess: float = 0.0) -> float:
        """Return what `p_value_among` says of it."""
        return p_value_among(self.ordered, score, tie, least_excess)

    def standard(self) -> tuple[float, float] | None:
        """Return the median and the spread (1.4826 MAD) of the scores; None under MIN_STANDARD."""
        if self._standard is None and len(self.ordered) >= MIN_STANDARD:
            median = (self.ordered[(len(self) - 1) // 2] + self.ordered[len(self) // 2]) / 2
            spread = 1.4826 * median_deviation(self.ordered, median)
            self._standard = median, max(spread, 1e-6)
        return self._standard

    def standardised(self, newest: int) -> NDArray[np.float64] | None:
        """Return so many scores less the median, in units of the spread; None as `standard`."""
        if (standard := self.standard()) is None:
            return None
        median, spread = standard
        scores = self._newest(newest).astype(np.float64)
        scores -= median
        scores /= spread
        return scores


def _compact(scores: NDArray[np.float32]) -> array[float]:
    """Return them without room to grow: a copy has none."""
    return array("f", scores.tobytes())[:]


def median_deviation(ordered: Sequence[float], median: float) -> float:
    """Return the median of |x - median| over n >= 2 numbers in ascending order.

    The n // 2 + 1 numbers that are nearest to the median stand side by side. Where they begin is
    found by halving; the two that are farthest among them stand at their ends.
    """
    n, near = len(ordered), len(ordered) // 2 + 1
    first = bisect_left(
        range(n - near),
        True,
        key=lambda place: median - ordered[place] <= ordered[place + near] - median,
    )
    last = first + near - 1
    ends = {first, first + 1, last - 1, last}
    second, farthest = sorted(abs(ordered[place] - median) for place in ends)[-2:]
    return farthest if n % 2 else (second + farthest) / 2


def drawn(count: int, *parts: str | int) -> list[float]:
    """Return so many numbers in (0, 1] that depend on `parts` only: the output of one hash."""
    text = "".join([f"{part}\x00" for part in parts])
    digest = hashlib.shake_128(text.encode()).digest(WIDTH * count)
    return [(number + 1) / (1 << 8 * WIDTH) for number in struct.unpack(f"<{count}I", digest)]
