"""The events of one source that are in no Moment yet, by what they wait for."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from worker.core.events import Event, Modality
from worker.core.message_sizes import MAX_LISTED_BYTES, listed_bytes
from worker.core.pairing_rules import PairingRules

_CAPTIONS = ""  # no correlation is called so


@dataclass(slots=True)
class _Correlated:
    """The events with one correlation id; `begun` is the time of the earliest."""

    begun: int
    events: list[Event] = field(default_factory=list)
    modalities: set[Modality] = field(default_factory=set)


class Waiting:
    """Events in groups: windows by their start, correlations, and as-of captions."""

    def __init__(self, rules: PairingRules) -> None:
        self.captions: list[Event] = []  # that no window has taken yet
        self._rules = rules
        self._windows: dict[int, list[Event]] = {}
        self._correlated: dict[str, _Correlated] = {}
        self._due: list[tuple[int, str]] = []  # a heap of deadlines, some of them out of date
        self._identities: set[tuple[Modality, str]] = set()
        self._listed = Counter[int | str]()  # bytes in messages, by group

    def __contains__(self, event: Event) -> bool:
        """Tell whether an event of this identity waits."""
        return event.identity in self._identities

    def __iter__(self) -> Iterator[Event]:
        for window in self._windows.values():
            yield from window
        for group in self._correlated.values():
            yield from group.events
        yield from self.captions

    def has_room_for(self, event: Event) -> bool:
        """Tell whether the event's group may have it as well."""
        return self._listed[self._group(event)] + listed_bytes(event) <= MAX_LISTED_BYTES

    def keep(self, event: Event) -> None:
        """Let an event wait for its Moment."""
        self._identities.add(event.identity)
        self._listed[self._group(event)] += listed_bytes(event)
        if event.correlation_id is not None:
            self._correlate(event.correlation_id, event)
        elif self._rules.is_as_of(event):
            self.captions.append(event)
        else:
            start = self._rules.window_start(event.time)
            if start not in self._windows:
                heapq.heappush(self._due, (start + self._rules.window, ""))
            self._windows.setdefault(start, []).append(event)

    def modalities(self, correlation_id: str) -> set[Modality]:
        """Return the modalities of the events with a correlation id."""
        return self._correlated[correlation_id].modalities

    def first_due(self) -> tuple[int, str] | None:
        """Return the next deadline with its correlation id, which is "" for a window."""
        while self._due and not self._still_waits(*self._due[0]):
            heapq.heappop(self._due)
        return self._due[0] if self._due else None

    def take_window(self, start: int) -> list[Event]:
        """Return the events of the window that begins so; they wait no more."""
        del self._listed[start]
        return self._forgotten(self._windows.pop(start, []))

    def take_correlated(self, correlation_id: str) -> list[Event]:
        """Return the events with a correlation id; they wait no more."""
        del self._listed[correlation_id]
        return self._forgotten(self._correlated.pop(correlation_id).events)

    def take_captions(self, before: int | None = None) -> list[Event]:
        """Return the as-of captions of before a time, or all; they wait no more."""
        taken = [each for each in self.captions if before is None or each.time < before]
        if taken:
            self.captions = [e for e in self.captions if before is not None and e.time >= before]
            self._listed[_CAPTIONS] -= sum(map(listed_bytes, taken))
        return self._forgotten(taken)

    def _correlate(self, correlation_id: str, event: Event) -> None:
        group = self._correlated.setdefault(correlation_id, _Correlated(event.time))
        if not group.events or event.time < group.begun:
            group.begun = event.time
            heapq.heappush(self._due, (event.time + self._rules.window, correlation_id))
        group.events.append(event)
        group.modalities.add(event.modality)

    def _still_waits(self, deadline: int, correlation_id: str) -> bool:
        if not correlation_id:
            return deadline - self._rules.window in self._windows
        group = self._correlated.get(correlation_id)
        return group is not None and group.begun + self._rules.window == deadline

    def _group(self, event: Event) -> int | str:
        if event.correlation_id is not None:
            return event.correlation_id
        return _CAPTIONS if self._rules.is_as_of(event) else self._rules.window_start(event.time)

    def _forgotten(self, events: list[Event]) -> list[Event]:
        self._identities.difference_update(event.identity for event in events)
        return events
