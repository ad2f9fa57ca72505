"""Which sources an entry of the configuration is about."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SourcePatterns:
    """One or more patterns for source ids: `*`, `?` and `[...]` as in a shell."""

    patterns: tuple[str, ...]
    _compiled: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        joined = "|".join(map(fnmatch.translate, self.patterns))
        object.__setattr__(self, "_compiled", re.compile(joined))

    def match(self, source: str) -> bool:
        """Tell whether a source is meant.

        >>> gates = SourcePatterns(("/cameras/gate*", "/cameras/door-[12]"))
        >>> [gates.match(f"/cameras/{name}") for name in ("gate-2", "door-2", "yard")]
        [True, True, False]
        """
        return self._compiled.fullmatch(source) is not None


EVERY_SOURCE = SourcePatterns(("*",))
