"""What of a camera's picture is not looked at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from worker.core.source_patterns import SourcePatterns


class Area(NamedTuple):
    """A rectangle in shares of the picture's width and height, from its upper left corner."""

    left: float
    top: float
    right: float
    bottom: float


class Masks:
    """The areas by source; the first patterns that match a source hold."""

    def __init__(self, masked: Iterable[tuple[SourcePatterns, tuple[Area, ...]]] = ()) -> None:
        self._masked = tuple(masked)

    def of(self, source: str) -> tuple[Area, ...]:
        """Return the areas of a source; none for most.

        >>> Masks([(SourcePatterns(("/gate*",)), (Area(0, 0, 1, 0.2),))]).of("/yard")
        ()
        """
        return next((areas for sources, areas in self._masked if sources.match(source)), ())
