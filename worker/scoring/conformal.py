"""From raw scores to p-values: rank among lagged normal scores, with a predictive tail."""

from __future__ import annotations

import hashlib
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.scoring.state import State

CAPACITY = 2000
TAIL = 0.1  # the share of the calibration scores that shapes the tail
SMALLEST = 1e-300  # stands for any smaller p-value
MIN_STANDARD = 8  # scores before a source knows its own median and spread


def p_value(
    score: float, calibration: NDArray[Any], tie: float, least_excess: float = 0.0
) -> float:
    """Return P(a normal score >= `score`), in (0, 1], from calibration scores (n,), n >= 10.

    Up to the 90th percentile u: (#{s_i > s} + tie (1 + #{s_i = s})) / (n + 1), tie in (0, 1].
    Above: with k excesses over u of sum S, TAIL (S / (S + s - u))^k, the predictive distribution
    of an exponential tail under Jeffreys' prior. It tends to TAIL exp(-(s - u) k / S) as k grows
    and stays heavier while few scores are known: an extrapolation, honest about its sample.
    S counts as at least k `least_excess`: how far harmless changes of a kind that the calibration
    has not seen yet go on average, in units of the score.
    """
    n = len(calibration)
    u = float(np.partition(calibration, n - n // 10 - 1)[n - n // 10 - 1])
    excesses = calibration[calibration > u] - u
    tail = max(1, n // 10)
    total = max(float(excesses.sum()), tail * least_excess)
    above, equal = int((calibration > score).sum()), int((calibration == score).sum())
    ranked = (above + tie * (1 + equal)) / (n + 1)
    if score <= u or total <= 0:
        return ranked
    return max(SMALLEST, TAIL * float((total / (total + score - u)) ** max(tail, len(excesses))))


class CalibrationRing:
    """The last normal scores of one expert of one source, each entering only after a lag.

    The lag keeps a slow event from calibrating itself: consecutive Moments are alike.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._scores: deque[float] = deque(maxlen=capacity)
        self._waiting: deque[tuple[int, float]] = deque(maxlen=capacity)
        self._array: NDArray[np.float64] | None = None
        self._standard: tuple[float, float] | None = None

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

    def extend(self, scores: list[float]) -> None:
        """Take in scores at once."""
        self._scores.extend(scores)
        self._array = self._standard = None

    def state(self) -> State:
        """Return its scores, oldest first, and those that wait with their times."""
        return {
            "scores": self.scores,
            "times": np.array([time for time, _ in self._waiting], dtype=np.int64),
            "waiting": np.array([score for _, score in self._waiting], dtype=np.float64),
        }

    def restore(self, state: State) -> None:
        """Take up the scores of another one."""
        pairs = zip(state["times"], state["waiting"], strict=True)
        self._waiting.extend((int(time), float(score)) for time, score in pairs)
        self.extend(state["scores"].tolist())

    @property
    def scores(self) -> NDArray[np.float64]:
        """The scores, oldest first."""
        if self._array is None:
            self._array = np.fromiter(self._scores, dtype=np.float64, count=len(self._scores))
        return self._array

    def standard(self) -> tuple[float, float] | None:
        """Return the median and the spread (1.4826 MAD) of the scores; None under MIN_STANDARD."""
        if self._standard is None and len(self._scores) >= MIN_STANDARD:
            median = float(np.median(self.scores))
            spread = 1.4826 * float(np.median(np.abs(self.scores - median)))
            self._standard = median, max(spread, 1e-6)
        return self._standard


def hashed_uniform(*parts: str | int) -> float:
    """Return a number in (0, 1] that depends on `parts` only."""
    text = "\x00".join(map(str, parts)).encode()
    digest = hashlib.blake2b(text, digest_size=6).digest()
    return (int.from_bytes(digest, "big") + 1) / float(1 << 48)
