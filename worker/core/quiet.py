"""When a source may not alert: muted, under maintenance, outside of its hours. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

Rest = Literal["mute", "maintenance", "schedule"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Hours:
    """The part of each day in which alerts are wanted, by the clock of a time zone.

    `[begin, end)` in minutes since midnight; where `end` is not after `begin` it is over midnight.
    """

    begin: int
    end: int
    zone: tzinfo

    def contains(self, time: int) -> bool:
        """Tell whether an event time, microseconds since the epoch, is in it.

        >>> night = Hours(22 * 60, 6 * 60, UTC)
        >>> [night.contains(hour * 3_600_000_000) for hour in (21, 22, 5, 6)]
        [False, True, True, False]
        """
        moment = _EPOCH + timedelta(microseconds=time)
        try:
            local = moment.astimezone(self.zone)
        except OverflowError:  # at the ends of the calendar, which a wrong clock may send
            local = moment
        minute = local.hour * 60 + local.minute
        if self.begin < self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end


@dataclass(frozen=True, slots=True)
class QuietTimes:
    """What keeps a source from alerting. `maintenance` are spans `[begin, end)` of event time."""

    muted: bool = False
    maintenance: tuple[tuple[int, int], ...] = ()
    hours: Hours | None = None

    def why(self, time: int) -> Rest | None:
        """Return why no alert may be open at an event time, or None where one may."""
        if self.muted:
            return "mute"
        if any(begin <= time < end for begin, end in self.maintenance):
            return "maintenance"
        if self.hours is not None and not self.hours.contains(time):
            return "schedule"
        return None
