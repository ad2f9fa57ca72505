"""The events of one source that are in no Moment yet, by what they wait for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from worker.core.events import Event, Modality
from worker.core.message_sizes import MAX_LISTED_BYTES, listed_bytes
from worker.core.pairing_rules import PairingRules

_CAPTIONS = ""  # no correlation is called so


class Waiting:
    """Events in groups: windows by their start, correlations, and as-of captions."""

    def __init__(self, rules: PairingRules) -> None:
        self.captions: list[Event] = []  # that no window has taken yet
        self._rules = rules
        self._windows: dict[int, list[Event]] = {}
        self._correlated: dict[str, list[Event]] = {}
        self._identities: set[tuple[Modality, str]] = set()
        self._listed = Counter[int | str]()  # bytes in messages, by group

    def __contains__(self, event: Event) -> bool:
        """Tell whether an event of this identity waits."""
        return event.identity in self._identities

    def __iter__(self) -> Iterator[Event]:
        for group in (*self._windows.values(), *self._correlated.values()):
            yield from group
        yield from self.captions

    def has_room_for(self, event: Event) -> bool:
        """Tell whether the event's group may have it as well."""
        return self._listed[self._group(event)] + listed_bytes(event) <= MAX_LISTED_BYTES

    def keep(self, event: Event) -> None:
        """Let an event wait for its Moment."""
        self._identities.add(event.identity)
        self._listed[self._group(event)] += listed_bytes(event)
        if event.correlation_id is not None:
            self._correlated.setdefault(event.correlation_id, []).append(event)
        elif self._rules.is_as_of(event):
            self.captions.append(event)
        else:
            self._windows.setdefault(self._rules.window_start(event.time), []).append(event)

    def modalities(self, correlation_id: str) -> set[Modality]:
        """Return the modalities of the events with a correlation id."""
        return {event.modality for event in self._correlated.get(correlation_id, ())}

    def deadlines(self) -> list[tuple[int, str]]:
        """Return when windows, whose second item is "", and correlations are due, unordered."""
        windows = [(start + self._rules.window, "") for start in self._windows]
        return windows + [
            (min(event.time for event in group) + self._rules.window, correlation_id)
            for correlation_id, group in self._correlated.items()
        ]

    def take_window(self, start: int) -> list[Event]:
        """Return the events of the window that begins so; they wait no more."""
        return self._taken(start, self._windows.pop(start, []))

    def take_correlated(self, correlation_id: str) -> list[Event]:
        """Return the events with a correlation id; they wait no more."""
        return self._taken(correlation_id, self._correlated.pop(correlation_id))

    def take_captions(self, before: int | None = None) -> list[Event]:
        """Return the as-of captions of before a time, or all; they wait no more."""
        waiting, self.captions = self._taken(_CAPTIONS, self.captions), []
        taken: list[Event] = []
        for event in waiting:
            if before is None or event.time < before:
                taken.append(event)
            else:
                self.keep(event)
        return taken

    def _group(self, event: Event) -> int | str:
        if event.correlation_id is not None:
            return event.correlation_id
        return _CAPTIONS if self._rules.is_as_of(event) else self._rules.window_start(event.time)

    def _taken(self, group: int | str, events: list[Event]) -> list[Event]:
        self._identities.difference_update(event.identity for event in events)
        del self._listed[group]
        return events
