"""Telemetry that keeps what the audit looks at and forgets the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any


class Counts:
    """A Telemetry that counts records read, and events by (modality, outcome)."""

    def __init__(self) -> None:
        self.counted: Counter[tuple[str, str]] = Counter()
        self._read = 0
        self._waiting: dict[str, int] = {}

    @property
    def unaccounted(self) -> int:
        """Records that were read, did not end and do not wait; below 0 where some ended twice."""
        return self._read - self.counted.total() - sum(self._waiting.values())

    def consumed(self, topic: str, records: int, size: int) -> None:
        self._read += records

    def events(self, modality: str, outcome: str, count: int) -> None:
        self.counted[modality, outcome] += count

    def buffered(self, modality: str, entries: int, size: int) -> None:
        self._waiting[modality] = entries

    def __getattr__(self, name: str) -> Callable[..., None]:
        return _ignored


def _ignored(*args: Any, **named: Any) -> None:
    pass
