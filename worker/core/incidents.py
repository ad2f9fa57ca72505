"""Which alerts belong together: those of neighbouring sources that open at about one time."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Incident:
    """What the newest alert of a source belongs to.

    `id` is that of the incident's first alert, `time` the event time, in microseconds, of the first
    unusual Moment of the source's own.
    """

    id: str
    time: int


@dataclass(frozen=True, slots=True)
class Neighbourhoods:
    """Groups of patterns for source ids, `*`, `?` and `[...]` as in a shell.

    Sources that one group matches are neighbours; their alerts are one incident where each begins
    no more than `within` microseconds from another one.
    """

    groups: tuple[tuple[str, ...], ...] = ()
    within: int = 0
    _patterns: tuple[re.Pattern[str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        joined = ("|".join(map(fnmatch.translate, group)) for group in self.groups)
        object.__setattr__(self, "_patterns", tuple(map(re.compile, joined)))

    def groups_of(self, source: str) -> Sequence[re.Pattern[str]]:
        """Return the groups that a source is in, as patterns for its neighbours.

        >>> gates = Neighbourhoods((("/gate-*", "/yard"), ("/roof",)))
        >>> [each.fullmatch("/yard") is not None for each in gates.groups_of("/gate-2")]
        [True]
        """
        return [pattern for pattern in self._patterns if pattern.fullmatch(source)]

    def incident(
        self, source: str, alert: str, time: int, others: Mapping[str, Incident]
    ) -> Incident | None:
        """Return what an alert of `source` belongs to that begins at `time`; None without a group.

        `others` are incidents by source. Of several the one with the newest alert is joined.
        """
        groups = self.groups_of(source)
        if not groups:
            return None
        near = _near(source, groups, time, self.within, others)
        joined = max(near, key=lambda each: (each.time, each.id), default=None)
        return Incident(alert if joined is None else joined.id, time)


def _near(
    source: str,
    groups: Sequence[re.Pattern[str]],
    time: int,
    within: int,
    others: Mapping[str, Incident],
) -> Iterable[Incident]:
    for name, other in others.items():
        is_neighbour = any(pattern.fullmatch(name) for pattern in groups)
        if name != source and is_neighbour and abs(other.time - time) <= within:
            yield other
