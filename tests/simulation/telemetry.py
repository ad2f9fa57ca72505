"""Telemetry that keeps what the audit looks at and forgets the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any


class Counts:
    """A Telemetry that counts events by (modality, outcome)."""

    def __init__(self) -> None:
        self.counted: Counter[tuple[str, str]] = Counter()

    def events(self, modality: str, outcome: str, count: int) -> None:
        self.counted[modality, outcome] += count

    def __getattr__(self, name: str) -> Callable[..., None]:
        return _ignored


def _ignored(*args: Any, **named: Any) -> None:
    pass
