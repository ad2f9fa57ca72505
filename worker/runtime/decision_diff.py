"""What becomes of alerts under other rules: gained, lost, moved in time, or as they were."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from worker.core.messages import DecisionRecord, Observation
from worker.core.policy import Severity

KINDS = ("gained", "lost", "moved", "changed", "same")  # of changes
FOREVER = 1 << 62  # the end of an alert that nobody has closed


@dataclass(frozen=True, slots=True)
class AlertLife:
    """An alert from its first unusual Moment to its close; times in microseconds.

    `opened` is the end of the Moment that opened it, `closed` that of the one that closed it, None
    where it is open still. `severity` and `reasons` are the last ones.
    """

    alert_id: str
    source: str
    start: int
    opened: int
    closed: int | None
    severity: Severity
    reasons: tuple[str, ...]

    def overlaps(self, other: AlertLife) -> bool:
        """Tell whether both were open, or about to open, at one time."""
        return self.start < (other.closed or FOREVER) and other.start < (self.closed or FOREVER)


class AlertLives:
    """Gathers the alerts of one side of a replay, in the order in which they open."""

    def __init__(self) -> None:
        self._lives: dict[str, AlertLife] = {}

    def note(self, observation: Observation, record: DecisionRecord) -> None:
        """Take in the next decision."""
        at = observation.window_end
        if record.kind == "none" or record.alert_id is None or record.severity is None:
            return
        known = self._lives.get(record.alert_id) or AlertLife(
            alert_id=record.alert_id,
            source=observation.source,
            start=observation.window_start,
            opened=at,
            closed=None,
            severity=record.severity,
            reasons=record.reasons,
        )
        closed = None if record.closed_for is None else at
        self._lives[record.alert_id] = replace(
            known, closed=closed, severity=record.severity, reasons=record.reasons
        )

    def opened(self, since: int | None, until: int | None) -> list[AlertLife]:
        """Return the alerts that opened in `[since, until)`."""
        return [
            life
            for life in self._lives.values()
            if (since is None or since <= life.opened) and (until is None or life.opened < until)
        ]


@dataclass(frozen=True, slots=True)
class Change:
    """An alert before and after: one of them is None where it is gained or lost."""

    before: AlertLife | None
    after: AlertLife | None

    @property
    def kind(self) -> str:
        """`gained`, `lost`, `moved` in time, `changed` in severity or reasons, or `same`."""
        before, after = self.before, self.after
        if before is None or after is None:
            return "gained" if before is None else "lost"
        if (before.opened, before.closed) != (after.opened, after.closed):
            return "moved"
        same = (before.severity, before.reasons) == (after.severity, after.reasons)
        return "same" if same else "changed"

    @property
    def source(self) -> str:
        """The source of the alert."""
        return next(life.source for life in (self.before, self.after) if life is not None)

    @property
    def time(self) -> int:
        """When it opened, the earlier one where both did."""
        return min(life.opened for life in (self.before, self.after) if life is not None)


def changes(before: Iterable[AlertLife], after: Iterable[AlertLife]) -> list[Change]:
    """Pair alerts of one source that overlap, the earliest first; return all in order of time."""
    waiting: dict[str, list[AlertLife]] = defaultdict(list)
    for life in after:
        waiting[life.source].append(life)
    found: list[Change] = []
    for life in before:
        rest = waiting[life.source]
        partner = next((each for each in rest if each.overlaps(life)), None)
        if partner is not None:
            rest.remove(partner)
        found.append(Change(life, partner))
    found += [Change(None, life) for rest in waiting.values() for life in rest]
    return sorted(found, key=lambda change: (change.time, change.source))


def tried(observations: Iterable[Observation]) -> list[Change]:
    """Return what becomes of the alerts of one run by what was in shadow, as it is on record."""
    sent, shadow = AlertLives(), AlertLives()
    for each in observations:
        if each.shadow is not None:
            sent.note(each, each.decision)
            shadow.note(each, each.shadow.decision)
    return changes(sent.opened(None, None), shadow.opened(None, None))
