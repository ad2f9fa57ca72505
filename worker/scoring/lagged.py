"""Scores that are too recent to calibrate."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from itertools import repeat
from math import isfinite

import numpy as np

from worker.scoring.conformal import CAPACITY
from worker.scoring.state import State

BATCH_SHARE = 8  # rings take in several scores at once: memory that is at hand is the quicker one

_SAID_NOTHING = float("nan")


class LaggedScores:
    """Normal scores of a source's last Moments, by expert, which wait for their turn.

    The lag keeps a slow event from calibrating itself: consecutive Moments are alike. The scores
    are finite and of single precision.
    """

    def __init__(self, names: Sequence[str], capacity: int = CAPACITY) -> None:
        self._names = tuple(names)
        self._capacity = capacity
        self._times = array("q")  # of Moments, oldest first
        self._scores = array("f")  # of each as many as names, NaN where an expert said nothing
        self._withheld = bytearray()  # of each, 1 where its scores are not to calibrate

    def add(self, time: int, scores: Mapping[str, float]) -> None:
        """Let the scores of the Moment at event time `time` wait; of too many the oldest go."""
        self._times.append(time)
        self._withheld.append(False)
        self._scores.extend(map(scores.get, self._names, repeat(_SAID_NOTHING)))
        if len(self._times) > self._capacity:
            self._taken_out(1)

    def settled(self, until: int) -> Sequence[Sequence[float]]:
        """Take out the scores of before `until`: those of each name, as far as there are any.

        None before they are a part of BATCH_SHARE of all that wait: so much longer is the lag.
        """
        count, times = len(self._times), self._times
        place = max(1, count // BATCH_SHARE) - 1
        if place >= count or times[place] >= until:
            return ()
        while place < count and times[place] < until:
            place += 1
        names, rows = len(self._names), self._taken_out(place)
        return [_said(rows[name::names]) for name in range(names)]

    def holds(self, time: int) -> bool:
        """Tell whether scores of the Moment at event time `time` wait."""
        return time in self._times

    def withhold(self, begin: int, end: int, *, is_withheld: bool = True) -> None:
        """Let none of the scores calibrate that are of event times from `begin` to `end`.

        Or let them all the same, if they still wait: `is_withheld` False.
        """
        for place, time in enumerate(self._times):
            if begin <= time <= end:
                self._withheld[place] = is_withheld

    def state(self) -> State:
        """Return times (n,), scores (n, experts), NaN where an expert said nothing, and flags."""
        return {
            "times": np.array(self._times, np.int64),
            "scores": np.array(self._scores, np.float32).reshape(-1, len(self._names)),
            "withheld": np.array(self._withheld, np.uint8),
        }

    def restore(self, state: State) -> None:
        """Take up what waits in another one with the same experts."""
        self._times = array("q", state["times"].tobytes())
        self._scores = array("f", state["scores"].tobytes())
        self._withheld = bytearray(state["withheld"].tobytes())

    def _taken_out(self, rows: int) -> array[float]:
        """Return the scores of the oldest Moments, which wait no longer, less the withheld ones."""
        end = rows * len(self._names)
        scores, withheld = self._scores[:end], self._withheld[:rows]
        del self._times[:rows], self._scores[:end], self._withheld[:rows]
        if not any(withheld):
            return scores
        is_kept = np.frombuffer(withheld, np.uint8) == 0
        kept = np.frombuffer(scores, np.float32).reshape(rows, -1)[is_kept]
        return array("f", kept.tobytes())


def _said(scores: array[float]) -> Sequence[float]:
    """Return those that are not NaN: mostly all of them, or none."""
    if isfinite(sum(scores)):
        return scores
    return [score for score in scores if isfinite(score)]
