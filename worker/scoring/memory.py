"""What a scorer remembers of one source: experts, their calibration, and the last caption."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from worker.core.rfc3339 import seconds
from worker.core.source_state import LearnedFrom
from worker.scoring.conformal import CalibrationRing
from worker.scoring.experts import Features, build_experts
from worker.scoring.state import State, integers, nested, part

MAX_LAG = seconds(60)
LAG_SHARE = 8  # while a source is young, an eighth of its age

VERSION = 2  # to be raised where the same numbers, or the scores of experts, come to mean otherwise

CARRIED: Final = "text"  # the expert whose judgement is carried along with a caption


def layout_digest(text_dim: int, pairs: Iterable[str] = ()) -> str:
    """Return a digest of what is kept of a source: states of equal ones can stand for each other.

    It follows from VERSION and from names, types and shapes of all arrays of a new memory.
    """
    digest = hashlib.sha256(str(VERSION).encode())
    memory = SourceMemory(text_dim, LearnedFrom(None, 0, 0), pairs)
    for name, array in sorted(memory.state().items()):
        digest.update(f";{name}:{array.dtype}{array.shape}".encode())
    return digest.hexdigest()


class SourceMemory:
    """Experts by name, a ring of normal scores for each, and what it was learned from."""

    def __init__(self, text_dim: int, learned: LearnedFrom, pairs: Iterable[str] = ()) -> None:
        self.learned = learned
        self.experts = build_experts(text_dim, pairs)
        self.rings = {name: CalibrationRing() for name in self.experts}
        self.caption: tuple[float, float | None] | None = None  # raw score, p-value of the last one
        self._first_time: int | None = None

    def pass_time(self, time: int) -> None:
        """Let the scores calibrate that have waited for long enough at `time`, microseconds."""
        if self._first_time is None:
            self._first_time = time
        until = time - min(MAX_LAG, (time - self._first_time) // LAG_SHARE)
        for ring in self.rings.values():
            ring.settle(until)

    def calibrate(self, time: int, raw: Mapping[str, float], *, carried: bool) -> None:
        """Let the scores of a Moment wait for their turn."""
        for name, value in raw.items():
            if not (carried and name == CARRIED):
                self.rings[name].add(time, value)

    def learn(self, features: Features, *, carried: bool) -> None:
        """Take the features in as normal; a carried caption was learned when it was present."""
        for name, expert in self.experts.items():
            if not (carried and name == CARRIED):
                expert.learn(features)

    def state(self) -> State:
        """Return all of it but for what it was learned from."""
        missing = float("nan")
        raw, p_value = self.caption or (missing, None)
        first = () if self._first_time is None else (self._first_time,)
        return {
            "first_time": integers(*first),
            "caption": np.array([raw, missing if p_value is None else p_value]),
            **nested({f"expert.{name}": each.state() for name, each in self.experts.items()}),
            **nested({f"ring.{name}": each.state() for name, each in self.rings.items()}),
        }

    def restore(self, state: State) -> None:
        """Take up the numbers that `state` returned. Raises KeyError or ValueError."""
        self._first_time = next(map(int, state["first_time"]), None)
        raw, p_value = map(float, state["caption"])
        self.caption = None if np.isnan(raw) else (raw, None if np.isnan(p_value) else p_value)
        for name, expert in self.experts.items():
            expert.restore(part(state, f"expert.{name}"))
        for name, ring in self.rings.items():
            ring.restore(part(state, f"ring.{name}"))
