"""The Moments of one partition index that are closed and not judged yet, in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from worker.core.caution import Attempts, Care, Caution
from worker.core.events import Event
from worker.core.moment import Moment
from worker.core.source_state import place_of


class Numbered(NamedTuple):
    """The `number`-th Moment that was closed."""

    number: int
    moment: Moment


class Gate:
    """Lets Moments out to be worked on, as `caution` has it, and knows those that are out."""

    def __init__(self, process: str, care: Care, closed: int, before: Attempts) -> None:
        self.caution = Caution(process, care, before)
        self.count = closed  # of all Moments closed so far
        self._closed: deque[Numbered] = deque()  # not let out yet
        self._out: deque[Numbered] = deque()
        self.out_bytes = 0  # of their records
        self._alone: Event | None = None  # let out to see whether it ends the process

    def restore(self, moments: Iterable[tuple[int, Moment]]) -> None:
        """Take up Moments that were closed before, with their numbers, in order."""
        self._closed.extend(Numbered(*each) for each in moments)

    def add(self, moment: Moment) -> None:
        """Take up a Moment that was closed now."""
        self.count += 1
        self._closed.append(Numbered(self.count, moment))

    def due(self) -> Iterator[Moment]:
        """Yield what may be worked on now. Stop iterating at will; what is left is kept."""
        while self._closed:
            moment = self._closed[0].moment
            piece = self.caution.next(moment)
            if piece is None:
                return
            if piece is moment:
                self._out.append(self._closed.popleft())
                self.out_bytes += moment.size
            else:
                self._alone = piece.events[0]
            yield piece

    @property
    def is_shut(self) -> bool:
        """Whether Moments are held back: nothing else may be closed meanwhile."""
        return bool(self._closed)

    def came_back(self) -> Numbered | None:
        """Return the whole Moment whose turn it was; None where it was a single event."""
        if self._alone is not None:
            self._alone = None
            self.caution.passed()
            return None
        self.caution.judged()
        numbered = self._out.popleft()
        self.out_bytes -= numbered.moment.size
        return numbered

    def expel(self) -> tuple[list[Event], list[Event]]:
        """Take out the events that are given up: those, and all that no Moment holds any more.

        The second list has an event as often as a Moment held it.
        """
        guilty = self.caution.guilty
        expelled: list[Event] = []
        released: list[Event] = []
        kept: deque[Numbered] = deque()
        for number, moment in self._closed:
            found = [event for event in held_by(moment) if place_of(event) in guilty]
            rest = moment.without(frozenset(event.identity for event in found))
            if rest.events:
                kept.append(Numbered(number, rest))
            released += found if rest.events else held_by(moment)
            expelled += (event for event in found if event in moment.events)
        if expelled:
            self._closed = kept
            self.caution.gave_up()
        return expelled, released

    @property
    def unsettled(self) -> tuple[Numbered, ...]:
        """The Moments that are not judged yet, in order."""
        return (*self._out, *self._closed)


def held_by(moment: Moment) -> tuple[Event, ...]:
    """Return the events whose records a Moment needs until it is judged."""
    return moment.events if moment.carried is None else (*moment.events, moment.carried)
