"""The job without a framework: pair by source and second, encode, compare with what is usual.

It does less than the worker: a window closes once frames and sound of its source are past it, the
score is a distance to a running mean; there are no p-values, no late events, and no recovery.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from tests.benchmarks.reference.models import Array, Models

AWAITED = ("frame", "audio")
GRACE = 2  # seconds
FRAMES = 4  # of a window that are encoded
RATE = 0.02  # at which the running mean follows

Window = dict[str, list[bytes]]  # by kind of input


class Input(NamedTuple):
    """A record's envelope and content."""

    source: str
    kind: str  # frame, caption, audio
    second: int  # since the epoch
    value: bytes


def read(headers: Mapping[str, bytes], value: bytes) -> Input:
    """Return the input of a CloudEvent in binary mode."""
    began = datetime.fromisoformat(headers["ce_time"].decode())
    kind = headers["ce_type"].decode().split(".")[1]
    return Input(headers["ce_source"].decode(), kind, int(began.timestamp()), value)


def say_ready() -> None:
    """Tell on standard output that all is loaded."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()


class Job:
    """Takes inputs in, and returns a result for each window that they complete."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._windows: dict[str, dict[int, Window]] = defaultdict(dict)
        self._fronts: dict[str, dict[str, int]] = defaultdict(dict)
        self._means: dict[tuple[str, str], Array] = {}

    def take(self, given: Input) -> Iterator[dict[str, Any]]:
        """Yield the results of the windows of the source that are over now."""
        windows, fronts = self._windows[given.source], self._fronts[given.source]
        fronts[given.kind] = max(given.second, fronts.get(given.kind, given.second))
        reached = min(fronts.get(kind, 0) for kind in AWAITED) - GRACE
        windows.setdefault(given.second, defaultdict(list))[given.kind].append(given.value)
        for second in sorted(each for each in windows if each < reached):
            yield self._result(given.source, second, windows.pop(second))

    def _result(self, source: str, second: int, window: Window) -> dict[str, Any]:
        vectors: dict[str, Array] = {}
        if frames := window.get("frame"):
            chosen = np.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).astype(int)
            vectors["frame"] = self._models.frames([frames[place] for place in chosen]).mean(axis=0)
        if captions := window.get("caption"):
            vectors["caption"] = self._models.caption(captions[-1].decode())
        if clips := window.get("audio"):
            vectors["audio"] = self._models.clip(clips[-1])
        scores = {kind: self._distance(source, kind, each) for kind, each in vectors.items()}
        return {"source": source, "second": second, "scores": scores}

    def _distance(self, source: str, kind: str, vector: Array) -> float:
        mean = self._means.setdefault((source, kind), vector)
        distance = 1 - float(mean @ vector) / float(np.linalg.norm(mean) * np.linalg.norm(vector))
        self._means[source, kind] = (1 - RATE) * mean + RATE * vector
        return distance
