"""A circuit breaker: after faults in a row a while of rest, then one attempt at a time.

Time is an argument, in seconds of any clock that does not go back.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

FAULTS = 3  # in a row
PAUSE_SECONDS = 5.0


@dataclass(slots=True)
class Breaker:
    """Closed at first. Safe to use from several threads."""

    faults: int = FAULTS
    pause: float = PAUSE_SECONDS
    _in_a_row: int = 0
    _retry_at: float | None = None  # None: closed
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def allows(self, now: float) -> bool:
        """Tell whether to try; where it is open, once per pause, from `opened + pause` on."""
        with self._lock:
            if self._retry_at is None:
                return True
            if now < self._retry_at:
                return False
            self._retry_at = now + self.pause
            return True

    def failed(self, now: float) -> bool:
        """Count a fault; return whether it has just opened the breaker."""
        with self._lock:
            was_closed = self._retry_at is None
            self._in_a_row += 1
            if self._in_a_row >= self.faults:
                self._retry_at = now + self.pause
            return was_closed and self._retry_at is not None

    def succeeded(self) -> bool:
        """Forget all faults; return whether this has just closed the breaker."""
        with self._lock:
            was_open = self._retry_at is not None
            self._in_a_row, self._retry_at = 0, None
            return was_open
