"""How fast time passes for rules: at another speed than 1 all their durations shrink alike."""

from __future__ import annotations

from dataclasses import dataclass

_UNITS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))


@dataclass(frozen=True, slots=True)
class Pace:
    """Rules at 60 times the speed fire and clear in seconds what takes minutes otherwise."""

    speed: int = 1

    def span(self, minutes: float) -> str:
        """Return a duration of PromQL, whole seconds, at least one.

        >>> [Pace().span(minutes) for minutes in (0.5, 5, 360, 1440)], Pace(60).span(5)
        (['30s', '5m', '6h', '1d'], '5s')
        """
        seconds = max(1, round(minutes * 60 / self.speed))
        size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
        return f"{seconds // size}{unit}"

    def seconds(self, seconds: float) -> str:
        """Return a number of seconds, as a limit to compare with.

        >>> Pace().seconds(120), Pace(60).seconds(90)
        ('120', '1.5')
        """
        return f"{seconds / self.speed:g}"
