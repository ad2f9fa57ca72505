"""Watches the memory of the process: at its cap nothing more is read until there is less of it."""

from __future__ import annotations

import structlog

from worker.core.ports import ProcessMemory, Telemetry
from worker.core.rfc3339 import seconds
from worker.errors import FailedRunError

LOOK_INTERVAL = seconds(1)
RESUME_SHARE = 0.95  # of the cap, below which reading goes on
STUCK_AFTER = seconds(60)  # above the cap with nothing under way that could free any

log = structlog.get_logger(__name__)


class MemoryWatch:
    """Knows whether the resident memory is at its cap, in bytes; 0 is no cap. Not thread-safe.

    Between two looks it can rise by what a second of reading takes; the queues bound that.
    """

    def __init__(self, cap: int, memory: ProcessMemory, telemetry: Telemetry) -> None:
        self._cap = cap
        self._memory = memory
        self._telemetry = telemetry
        self._resident = 0
        self._looked: int | None = None
        self._idle_since: int | None = None  # full and with nothing under way, in microseconds
        self.is_full = False
        telemetry.degraded("memory", False)

    @property
    def share(self) -> float:
        """The share of the cap that is resident; 0 where there is no cap."""
        return self._resident / self._cap if self._cap else 0.0

    def look(self, now: int, *, is_idle: bool) -> None:
        """Look once a second; `now` in microseconds. `is_idle`: nothing under way frees memory.

        Raises FailedRunError where that has been so for too long: waiting does not help then.
        """
        if self._looked is not None and 0 <= now - self._looked < LOOK_INTERVAL:
            return
        self._looked = now
        self._resident = self._memory.resident()
        if self._is_above():
            self._memory.give_back()
            self._resident = self._memory.resident()
        self._turn(self._is_above())
        self._count_idle(now, is_idle=is_idle)

    def _is_above(self) -> bool:
        return self.share >= (RESUME_SHARE if self.is_full else 1)

    def _turn(self, is_full: bool) -> None:
        if is_full != self.is_full:
            self.is_full = is_full
            self._telemetry.degraded("memory", is_full)
            said = "at the memory cap, reading stops" if is_full else "reading goes on"
            log.warning(said, resident_bytes=self._resident, cap_bytes=self._cap)

    def _count_idle(self, now: int, *, is_idle: bool) -> None:
        if not (self.is_full and is_idle):
            self._idle_since = None
        elif self._idle_since is None or now < self._idle_since:
            self._idle_since = now
        elif now - self._idle_since >= STUCK_AFTER:
            raise FailedRunError(
                f"the worker takes {self._resident} bytes with nothing under way, and"
                f" limits.max_resident_bytes is {self._cap}: raise it, lower"
                " pairing.max_buffered_bytes, or spread the sources over more workers"
            )
