"""From raw scores to p-values: rank among lagged normal scores, with a predictive tail."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.scoring.state import State

CAPACITY = 2000
TAIL = 0.1  # the share of the calibration scores that shapes the tail
SMALLEST = 1e-300  # stands for any smaller p-value
MIN_STANDARD = 8  # scores before a source knows its own median and spread


class Calibration:
    """Normal scores (n,), n >= 10, in ascending order, and the tail that they have."""

    def __init__(self, scores: NDArray[np.float64]) -> None:
        self._ordered = np.sort(scores)
        self._tail = tail_of(self._ordered)

    def __len__(self) -> int:
        return len(self._ordered)

    def p_value(self, score: float, tie: float, least_excess: float = 0.0) -> float:
        """Return P(a normal score >= `score`), in (0, 1], tie in (0, 1].

        Up to the 90th percentile u: (#{s_i > s} + tie (1 + #{s_i = s})) / (n + 1).
        Above: with k excesses over u of sum S, TAIL (S / (S + s - u))^k, the predictive
        distribution of an exponential tail under Jeffreys' prior. It tends to
        TAIL exp(-(s - u) k / S) as k grows and stays heavier while few scores are known: an
        extrapolation, honest about its sample. S counts as at least k `least_excess`: how far
        harmless changes of a kind that the calibration has not seen yet go on average, in units of
        the score.
        """
        p = self._tail.p_value(score, least_excess)
        if p is not None:
            return p
        begin = int(self._ordered.searchsorted(score, "left"))
        end = int(self._ordered.searchsorted(score, "right"))
        return _ranked(len(self) - end, end - begin, len(self), tie)


class Tail(NamedTuple):
    """What lies above the 90th percentile `begin` of n scores: k excesses of sum `total`."""

    begin: float
    total: float
    k: int

    def p_value(self, score: float, least_excess: float) -> float | None:
        """Return the p-value of a score in the tail, None where its rank says it."""
        total = max(self.total, self.k * least_excess)
        if score <= self.begin or total <= 0:
            return None
        return max(SMALLEST, TAIL * float((total / (total + score - self.begin)) ** self.k))


def tail_of(ordered: Sequence[float] | NDArray[np.float64]) -> Tail:
    """Return the tail of scores in ascending order, n >= 10."""
    k = len(ordered) // 10
    begin = float(ordered[len(ordered) - k - 1])
    excesses = np.array(ordered[len(ordered) - k :], dtype=np.float64) - begin
    return Tail(begin, float(excesses.sum()), k)


def _ranked(above: int, equal: int, n: int, tie: float) -> float:
    return (above + tie * (1 + equal)) / (n + 1)


class CalibrationRing:
    """The last normal scores of one expert of one source, each entering only after a lag.

    The lag keeps a slow event from calibrating itself: consecutive Moments are alike. The scores
    are finite, of single precision, and also kept in order of size: ranks and medians are then
    there to be read.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._scores = array("f")  # oldest first
        self._ordered = array("f")  # smallest first
        self._waiting: deque[tuple[int, float]] = deque(maxlen=capacity)
        self._standard: tuple[float, float] | None = None  # found when it is looked at,
        self._tail: Tail | None = None  # and so is this

    def __len__(self) -> int:
        return len(self._scores)

    def add(self, time: int, score: float) -> None:
        """Let `score` of event time `time` wait for its turn."""
        self._waiting.append((time, score))

    def settle(self, until: int) -> list[float]:
        """Take in the scores of before `until`; return the ones taken."""
        taken: list[float] = []
        while self._waiting and self._waiting[0][0] < until:
            taken.append(self._waiting.popleft()[1])
        if taken:
            self.extend(taken)
        return taken

    def extend(self, scores: Sequence[float]) -> None:
        """Take in scores at once."""
        for score in scores:
            self._scores.append(score)
            insort(self._ordered, score)
        for oldest in self._scores[: max(0, len(self._scores) - self._capacity)]:
            del self._scores[0], self._ordered[bisect_left(self._ordered, oldest)]
        self._standard = self._tail = None

    def withdraw(self, score: float) -> None:
        """Take one such score out again, if there still is one."""
        if score in self._scores:
            self._scores.remove(score)
            del self._ordered[bisect_left(self._ordered, score)]
            self._standard = self._tail = None

    def withhold(self, begin: int, end: int) -> None:
        """Let none of the scores that wait calibrate, if of event times from `begin` to `end`."""
        kept = [each for each in self._waiting if not begin <= each[0] <= end]
        self._waiting = deque(kept, maxlen=self._capacity)

    def state(self) -> State:
        """Return its scores, oldest first, and those that wait with their times."""
        return {
            "scores": np.array(self._scores),
            "times": np.array([time for time, _ in self._waiting], dtype=np.int64),
            "waiting": np.array([score for _, score in self._waiting], dtype=np.float64),
        }

    def restore(self, state: State) -> None:
        """Take up the scores of another one of the same capacity."""
        pairs = zip(state["times"], state["waiting"], strict=True)
        self._waiting.extend((int(time), float(score)) for time, score in pairs)
        self._scores = array("f", state["scores"].tobytes())
        self._ordered = array("f", np.sort(state["scores"]).tobytes())
        self._standard = self._tail = None

    @property
    def scores(self) -> NDArray[np.float64]:
        """A copy of the scores, oldest first."""
        return np.array(self._scores, dtype=np.float64)

    def p_value(self, score: float, tie: float, least_excess: float = 0.0) -> float:
        """Return what a `Calibration` of its scores does."""
        if self._tail is None:
            self._tail = tail_of(self._ordered)
        p = self._tail.p_value(score, least_excess)
        if p is not None:
            return p
        n = len(self._ordered)
        begin, end = bisect_left(self._ordered, score), bisect_right(self._ordered, score)
        return _ranked(n - end, end - begin, n, tie)

    def standard(self) -> tuple[float, float] | None:
        """Return the median and the spread (1.4826 MAD) of the scores; None under MIN_STANDARD."""
        if self._standard is None and len(self._ordered) >= MIN_STANDARD:
            median = (self._ordered[(len(self) - 1) // 2] + self._ordered[len(self) // 2]) / 2
            spread = 1.4826 * median_deviation(self._ordered, median)
            self._standard = median, max(spread, 1e-6)
        return self._standard

    def standardised(self, newest: int) -> NDArray[np.float64] | None:
        """Return so many scores less the median, in units of the spread; None as `standard`."""
        if (standard := self.standard()) is None:
            return None
        median, spread = standard
        scores = np.frombuffer(self._scores, np.float32)[-newest:].astype(np.float64)
        scores -= median
        scores /= spread
        return scores


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


def hashed_uniform(*parts: str | int) -> float:
    """Return a number in (0, 1] that depends on `parts` only."""
    text = "\x00".join(map(str, parts)).encode()
    digest = hashlib.blake2b(text, digest_size=6).digest()
    return (int.from_bytes(digest, "big") + 1) / float(1 << 48)
