"""What of a camera's picture is not looked at."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


class Area(NamedTuple):
    """A rectangle in shares of the picture's width and height, from its upper left corner."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class _Masked:
    pattern: re.Pattern[str]
    areas: tuple[Area, ...]


class Masks:
    """The areas by patterns for source ids, `*`, `?` and `[...]` as in a shell.

    The first pattern that matches a source holds.
    """

    def __init__(self, masked: Iterable[tuple[str, tuple[Area, ...]]] = ()) -> None:
        self._masked = tuple(
            _Masked(re.compile(fnmatch.translate(match)), areas) for match, areas in masked
        )

    def of(self, source: str) -> tuple[Area, ...]:
        """Return the areas of a source; none for most.

        >>> Masks([("/gate*", (Area(0, 0, 1, 0.2),))]).of("/yard")
        ()
        """
        found = (each.areas for each in self._masked if each.pattern.fullmatch(source))
        return next(found, ())
