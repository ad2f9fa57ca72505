"""What this process takes of the machine's memory, by the collector behind its metric."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable

from prometheus_client import ProcessCollector

_RESIDENT = "process_resident_memory_bytes"


class LinuxMemory:
    """Implements worker.core.ports.ProcessMemory; on other systems nothing is known, so 0."""

    def __init__(self) -> None:
        self._collector = ProcessCollector(registry=None)
        self._trim = _trim()

    def resident(self) -> int:
        """Return the resident bytes, as `process_resident_memory_bytes` says them."""
        for family in self._collector.collect():
            if family.name == _RESIDENT:
                return int(family.samples[0].value)
        return 0

    def give_back(self) -> None:
        """Free what nobody needs; glibc keeps freed memory for itself until it is asked."""
        gc.collect()
        if self._trim is not None:
            self._trim(0)


def _trim() -> Callable[[int], int] | None:
    """Return glibc's `malloc_trim`; other C libraries have none."""
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # TypeError: no handle of the process on Windows
        return None
    return trim
