"""Scores that are too recent to calibrate."""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from worker.scoring.conformal import CAPACITY
from worker.scoring.state import State

_SAID_NOTHING = float("nan")


class LaggedScores:
    """Normal scores of a source's last Moments, by expert, which wait for their turn.

    The lag keeps a slow event from calibrating itself: consecutive Moments are alike. The scores
    are finite and of single precision.
    """

    def __init__(self, names: Sequence[str], capacity: int = CAPACITY) -> None:
        self._names = tuple(names)
        self._waiting: deque[tuple[int, array[float]]] = deque(maxlen=capacity)

    def add(self, time: int, scores: Mapping[str, float]) -> None:
        """Let the scores of the Moment at event time `time` wait."""
        row = array("f", [scores.get(name, _SAID_NOTHING) for name in self._names])
        self._waiting.append((time, row))

    def settled(self, until: int) -> Iterator[tuple[str, float]]:
        """Take out and yield the scores of before `until`, with their experts."""
        while self._waiting and self._waiting[0][0] < until:
            yield from self._said(self._waiting.popleft()[1])

    def withhold(self, begin: int, end: int) -> None:
        """Let none of the scores calibrate that are of event times from `begin` to `end`."""
        kept = [each for each in self._waiting if not begin <= each[0] <= end]
        self._waiting = deque(kept, maxlen=self._waiting.maxlen)

    def state(self) -> State:
        """Return times (n,) and scores (n, experts), NaN where an expert said nothing."""
        rows = [np.frombuffer(row, np.float32) for _, row in self._waiting]
        return {
            "times": np.array([time for time, _ in self._waiting], dtype=np.int64),
            "scores": np.array(rows, dtype=np.float32).reshape(-1, len(self._names)),
        }

    def restore(self, state: State) -> None:
        """Take up what waits in another one with the same experts."""
        rows = (array("f", row.tobytes()) for row in state["scores"])
        pairs = zip(state["times"].tolist(), rows, strict=True)
        self._waiting = deque(pairs, maxlen=self._waiting.maxlen)

    def _said(self, row: array[float]) -> Iterator[tuple[str, float]]:
        pairs = zip(self._names, row, strict=True)
        return ((name, score) for name, score in pairs if not math.isnan(score))
