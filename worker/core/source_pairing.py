"""Pairing within one source: fronts, windows, as-of captions, correlation, duplicates."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping

from worker.core.events import Event, Modality
from worker.core.moment import Closed, ClosedBy, Late, Moment, Outcome, Released, last_marked
from worker.core.pairing_rules import PairingRules
from worker.core.source_state import Kept, PairingState, Place, place_of
from worker.core.waiting import Waiting

MAX_CLOSED_CORRELATIONS = 1024  # remembered per source, so that their stragglers are late


class SourcePairing:
    """The open windows of one source. Methods yield what they cause, in order."""

    def __init__(self, name: str, rules: PairingRules) -> None:
        self.name = name
        self.last_append = 0
        self.order = 0  # of its last accepted event, among those of all sources
        self._woken: int | None = None  # append time of its first event after its last silence
        self._rules = rules
        self._fronts: dict[Modality, int] = {}
        self._waiting = Waiting(rules)
        self._carried: Event | None = None
        self._carried_held = False  # whether the carried caption's record is still needed
        self._placed: dict[str, int] = {}  # ids of as-of captions taken, with their times
        self._closed_until: int | None = None
        self._closed_correlations: OrderedDict[str, None] = OrderedDict()  # digests

    def is_duplicate(self, event: Event) -> bool:
        """Tell whether its Moment is open, or it is the caption that is carried."""
        carried = self._carried is not None and self._carried.identity == event.identity
        return carried or event in self._waiting

    def lateness(self, event: Event) -> int | None:
        """Return the watermark that the event missed, or None where it is in time."""
        if event.correlation_id is not None:
            late = _digest(event.correlation_id) in self._closed_correlations
        elif self._rules.is_as_of(event):
            late = event.id in self._placed or self._is_closed(
                event.time + self._rules.carry_caption + 1
            )
        else:
            end = self._rules.window_start(event.time) + self._rules.window
            front = self._fronts.get(event.modality)
            behind = front is not None and end <= front - self._rules.grace
            late = behind or self._is_closed(end)
        return self._reached(event) if late else None

    def is_full_for(self, event: Event) -> bool:
        """Tell whether its Moment has as many events as one may have."""
        return not self._waiting.has_room_for(event)

    def amendment(self, event: Event) -> Closed:
        """Return a Moment of its own for an event that is late again, after it was sent again."""
        start = self._rules.window_start(event.time)
        moment = Moment(
            source=self.name,
            start=start if event.correlation_id is None else event.time,
            end=start + self._rules.window if event.correlation_id is None else event.time,
            events=(event,),
            closed_by=ClosedBy.COMPLETE,
            correlation_id=event.correlation_id,
            amends=True,
        )
        return Closed(moment, (event,))

    def accept(self, event: Event, append_time: int) -> Iterator[Outcome]:
        """Take an event that is neither duplicate nor late; close what it makes due."""
        self.last_append = append_time
        front = self._fronts.get(event.modality, event.time)
        self._fronts[event.modality] = max(front, event.time)
        self._waiting.keep(event)
        if event.correlation_id is not None and self._rules.awaited <= self._waiting.modalities(
            event.correlation_id
        ):
            yield self._close_correlated(event.correlation_id, ClosedBy.COMPLETE)
        only_captions = self._awaited() == {Modality.CAPTION}
        yield from self._close_until(self.watermark, only_captions, ClosedBy.WATERMARK)

    def wake(self, append_time: int) -> None:
        """Come back from silence: what was buffered meanwhile may come one modality at a time."""
        self._woken = append_time

    def silence(self) -> Iterator[Outcome]:
        """Close everything that is open: nothing has come for too long."""
        yield from last_marked(list(self._close_until(None, True, ClosedBy.SILENCE)))
        for caption in self._waiting.take_captions():
            yield Late(caption, self._reached(caption))
        if self._carried is not None and self._carried_held:
            self._carried_held = False
            yield Released(self._carried)

    def put_down(self, event: Event) -> Iterator[Outcome]:
        """Carry the event no more, if it is what is carried."""
        if self._carried is not None and self._carried.identity == event.identity:
            yield from map(Released, self._replace_carried(None))

    def drop_caption(self) -> bool:
        """Carry no caption on, after `silence`; return whether there was one."""
        dropped, self._carried = self._carried, None
        return dropped is not None

    @property
    def stopped(self) -> set[Modality]:
        """The awaited modalities of which nothing has come for the idle time-out of the newest."""
        oldest = max(self._fronts.values(), default=0) - self._rules.idle_timeout
        ended = {modality for modality, front in self._fronts.items() if front < oldest}
        return ended & self._rules.awaited

    def state(self, silent: bool, keep: Callable[[Event], Kept]) -> PairingState:
        """Return all of it as a value; `keep` says how the carried caption is to be found again."""
        return PairingState(
            order=self.order,
            last_append=self.last_append,
            silent=silent,
            fronts=dict(self._fronts),
            closed_until=self._closed_until,
            waiting=tuple(map(place_of, self._waiting)),
            carried=None if self._carried is None else keep(self._carried),
            carried_held=self._carried_held,
            placed=dict(self._placed),
            closed_correlations=tuple(self._closed_correlations),
            woken=self._woken,
        )

    def restore(self, state: PairingState, events: Mapping[Place, Event]) -> None:
        """Become what `state` was taken from; `events` has those that it names.

        One that is missing has become a dead letter since.
        """
        self.order, self.last_append = state.order, state.last_append
        self._fronts = dict(state.fronts)
        self._closed_until = state.closed_until
        for place in state.waiting:
            if (event := events.get(place)) is not None:
                self._waiting.keep(event)
        if state.carried is not None:
            self._carried = events.get(state.carried.place)
            self._carried_held = self._carried is not None and state.carried_held
        self._placed = dict(state.placed)
        self._closed_correlations = OrderedDict.fromkeys(state.closed_correlations)
        self._woken = state.woken

    def waiting(self) -> Iterator[Event]:
        """Yield the events that are in no Moment yet."""
        return iter(self._waiting)

    @property
    def watermark(self) -> int:
        """The event time up to which windows are closed: the slowest awaited front less grace."""
        return min(self._fronts[modality] for modality in self._awaited()) - self._rules.grace

    def _awaited(self) -> set[Modality]:
        """Return what windows wait for: the awaited modalities that this source does send now.

        For a while after a silence that is all that it had sent before.
        """
        oldest = max(self._fronts.values()) - self._rules.idle_timeout
        current = {modality for modality, front in self._fronts.items() if front >= oldest}
        if self._woken is not None and self.last_append - self._woken < self._rules.idle_timeout:
            current |= self._rules.awaited & self._fronts.keys()
        some = current & self._rules.awaited or current - {Modality.CAPTION}
        return some or current  # nothing but captions

    def _is_closed(self, end: int) -> bool:
        return self._closed_until is not None and end <= self._closed_until

    def _reached(self, event: Event) -> int:
        front = self._fronts.get(event.modality, event.time)
        reached = front - self._rules.grace
        return reached if self._closed_until is None else max(reached, self._closed_until)

    def _close_until(
        self, watermark: int | None, caption_windows: bool, why: ClosedBy
    ) -> Iterator[Outcome]:
        """Close in order of deadline what is due at `watermark`; everything where it is None."""
        while True:
            first = self._waiting.first_due()
            due: list[tuple[int, str]] = [] if first is None else [first]
            if caption_windows:
                due += [(start + self._rules.window, "") for start in self._caption_windows()]
            deadline, correlation_id = min(due, default=(0, None))
            if correlation_id is None or (watermark is not None and deadline > watermark):
                return
            if correlation_id:
                yield self._close_correlated(correlation_id, why)
            else:
                yield from self._close_window(deadline - self._rules.window, why)

    def _caption_windows(self) -> set[int]:
        """Return the windows that captions open by themselves, where they have no other."""
        starts = {self._rules.window_start(caption.time) for caption in self._waiting.captions}
        return {start for start in starts if not self._is_closed(start + self._rules.window)}

    def _close_window(self, start: int, why: ClosedBy) -> Iterator[Outcome]:
        end = start + self._rules.window
        events = self._waiting.take_window(start)
        captions = self._waiting.take_captions(end)
        for caption in captions:
            if caption.time + self._rules.carry_caption >= start:
                events.append(caption)
                self._placed[caption.id] = caption.time
            else:
                yield Late(caption, self._reached(caption))
        released = [event for event in events if not self._rules.is_as_of(event)]
        if self._carried is not None and self._carried.time + self._rules.carry_caption < start:
            released += self._replace_carried(None)
        moment = Moment(
            source=self.name,
            start=start,
            end=end,
            events=_in_order(events),
            closed_by=self._named(why, events),
            carried=None if any(map(self._rules.is_as_of, events)) else self._carried,
        )
        self._closed_until = end
        released += self._carry_on(events)
        yield Closed(moment, tuple(released))

    def _carry_on(self, events: list[Event]) -> list[Event]:
        """Carry the newest caption on; return those that are needed no more."""
        released: list[Event] = []
        for caption in filter(self._rules.is_as_of, events):
            if self._carried is None or _age_key(caption) > _age_key(self._carried):
                released += self._replace_carried(caption)
            else:
                released.append(caption)
        last = (self._closed_until or 0) - self._rules.carry_caption  # older ones serve no window
        if self._carried is not None and self._carried.time < last:
            released += self._replace_carried(None)
        self._placed = {key: time for key, time in self._placed.items() if time >= last}
        return released

    def _replace_carried(self, caption: Event | None) -> list[Event]:
        replaced = [self._carried] if self._carried is not None and self._carried_held else []
        self._carried, self._carried_held = caption, caption is not None
        return replaced

    def _close_correlated(self, correlation_id: str, why: ClosedBy) -> Closed:
        events = _in_order(self._waiting.take_correlated(correlation_id))
        self._closed_correlations[_digest(correlation_id)] = None
        if len(self._closed_correlations) > MAX_CLOSED_CORRELATIONS:
            self._closed_correlations.popitem(last=False)
        moment = Moment(
            source=self.name,
            start=events[0].time,
            end=events[-1].time,
            events=events,
            closed_by=why,
            correlation_id=correlation_id,
        )
        return Closed(moment, events)

    def _named(self, why: ClosedBy, events: list[Event]) -> ClosedBy:
        """Call a strictly paired window complete where nothing that it awaits is missing."""
        held = {event.modality for event in events}
        strict = not self._rules.as_of_captions
        return ClosedBy.COMPLETE if strict and self._rules.awaited <= held else why


def _in_order(events: list[Event]) -> tuple[Event, ...]:
    return tuple(sorted(events, key=_age_key))


def _digest(correlation_id: str) -> str:
    """Return what is remembered of a closed correlation; ids may be long."""
    return hashlib.blake2b(correlation_id.encode(), digest_size=8).hexdigest()


def _age_key(event: Event) -> tuple[int, Modality, str]:
    return (event.time, event.modality, event.id)
