"""Telemetry that keeps what the audit looks at and forgets the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any


class Counts:
    """A Telemetry. `events` by (modality, outcome); `most_buffered` events at any report."""

    def __init__(self) -> None:
        self.counted: Counter[tuple[str, str]] = Counter()
        self.most_buffered = 0
        self._buffered: dict[str, int] = {}

    def events(self, modality: str, outcome: str, count: int) -> None:
        self.counted[modality, outcome] += count

    def buffered(self, modality: str, entries: int, size: int) -> None:
        self._buffered[modality] = entries
        self.most_buffered = max(self.most_buffered, sum(self._buffered.values()))

    def __getattr__(self, name: str) -> Callable[..., None]:
        return _ignored


def _ignored(*args: Any, **named: Any) -> None:
    pass
