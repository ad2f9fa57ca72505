"""Which alerts belong together: those of neighbouring sources that open at about one time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from worker.core.source_patterns import SourcePatterns


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
    """Groups of sources.

    Sources of one group are neighbours; their alerts are one incident where each begins no more
    than `within` microseconds from another one.
    """

    groups: tuple[SourcePatterns, ...] = ()
    within: int = 0

    def incident(
        self, source: str, alert: str, time: int, others: Mapping[str, Incident]
    ) -> Incident | None:
        """Return what an alert of `source` belongs to that begins at `time`; None without a group.

        `others` are incidents by source. Of several the one with the newest alert is joined.
        """
        groups = [group for group in self.groups if group.match(source)]
        if not groups:
            return None
        near = _near(source, groups, time, self.within, others)
        joined = max(near, key=lambda each: (each.time, each.id), default=None)
        return Incident(alert if joined is None else joined.id, time)


def _near(
    source: str,
    groups: Sequence[SourcePatterns],
    time: int,
    within: int,
    others: Mapping[str, Incident],
) -> Iterable[Incident]:
    for name, other in others.items():
        is_neighbour = any(group.match(name) for group in groups)
        if name != source and is_neighbour and abs(other.time - time) <= within:
            yield other
