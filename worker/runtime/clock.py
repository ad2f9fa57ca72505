"""The time that a worker goes by."""

from __future__ import annotations

import time
from collections.abc import Callable


def steady_clock(
    wall: Callable[[], int] = time.time_ns, monotonic: Callable[[], int] = time.monotonic_ns
) -> Callable[[], int]:
    """Return the time since the epoch in microseconds, without the jumps of a corrected clock.

    A jump would look like silence: windows would be closed before their events were read.
    `wall` and `monotonic` are in nanoseconds.
    """
    began = wall() - monotonic()
    return lambda: (began + monotonic()) // 1000
