"""Whether the worker has started, lives and is ready; told by its threads, asked by probes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple


class Answer(NamedTuple):
    """What a probe is told; `why` is for people."""

    ok: bool
    why: str


class Health:
    """The state that probes see. It asks nobody: the worker's threads tell it. Thread-safe.

    `clock` is monotonic, in seconds; `max_tick_age` is the age from which the last tick of the poll
    loop counts as hung.
    """

    def __init__(self, clock: Callable[[], float], max_tick_age: float) -> None:
        self._clock = clock
        self._max_tick_age = max_tick_age
        self._lock = threading.Lock()
        self._last_tick: float | None = None  # None: still starting
        self._ready = Answer(False, "has not joined the group")

    def started(self) -> None:
        """Say that the weights are loaded and warm; from now on the poll loop must tick."""
        self.tick(self._clock())

    def tick(self, now: float) -> None:
        """Say that the poll loop came round at `now`, by the clock given."""
        with self._lock:
            self._last_tick = now

    def ready(self, is_ready: bool, why: str) -> None:
        """Say whether the worker is a member of its group and can produce, and if not, why."""
        with self._lock:
            self._ready = Answer(is_ready, why)

    def startup(self) -> Answer:
        """Tell whether the worker has started."""
        with self._lock:
            started = self._last_tick is not None
        return Answer(started, "started" if started else "loads its models")

    def live(self) -> Answer:
        """Tell whether the last tick is younger than the limit; a start has the startup probe."""
        with self._lock:
            if self._last_tick is None:
                return Answer(True, "starting")
            age = self._clock() - self._last_tick
        return Answer(age < self._max_tick_age, f"last poll {age:.1f} s ago")

    def readiness(self) -> Answer:
        """Tell whether the worker has started and takes part; without partitions it does too."""
        startup = self.startup()
        if not startup.ok:
            return startup
        with self._lock:
            return self._ready if self._ready.why else self._ready._replace(why="ready")
