"""Takes up the records that a recovered state still needs, and nothing else of what lies before."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from itertools import chain

from worker.core.events import MODALITIES, Event, Modality
from worker.core.moment import Moment
from worker.core.ports import LogError
from worker.core.source_state import Place, SourceState, UnsettledMoment


class Restoring:
    """Knows which records are to be read again. `events` are those that have come."""

    def __init__(self, states: Iterable[SourceState]) -> None:
        self.states = tuple(states)
        self.events: dict[Place, Event] = {}
        self._from_state = frozenset(chain.from_iterable(each.records for each in self.states))
        self._missing = {
            modality: deque(offset for _, offset in sorted(self._places(modality)))
            for modality in MODALITIES
        }

    @property
    def is_complete(self) -> bool:
        """Whether all of them have come."""
        return not any(self._missing.values())

    def is_needed(self, modality: Modality, offset: int) -> bool:
        """Tell whether the next record of its topic is one of them; it is not waited for again.

        Raises LogError where an earlier one can come no more.
        """
        missing = self._missing[modality]
        if not missing or offset < missing[0]:
            return False
        if offset > missing[0]:
            raise LogError(
                "records_gone",
                f"records of the {modality} topic that were not processed yet are gone from"
                f" the log (offset {missing[0]}): give it a longer retention, and move the group's"
                " offsets on purpose with `mmworker topics offsets`",
                retriable=False,
            )
        missing.popleft()
        return True

    def holders(self, modality: Modality) -> Counter[int]:
        """Return how many hold each record of a modality that was read again."""
        held = (place for state in self.states for place in state.held)
        return Counter(p.offset for p in held if p.modality is modality and p in self.events)

    @property
    def read_again(self) -> dict[Place, Event]:
        """Those that came from the log; the others came with the state."""
        return {p: event for p, event in self.events.items() if p not in self._from_state}

    @property
    def settled(self) -> list[Place]:
        """What was read again and is only carried: an earlier process has counted it."""
        waiting = (s.pairing.waiting for s in self.states if s.pairing is not None)
        paired = (moment.events for state in self.states for moment in state.unsettled)
        counted_later = set(chain.from_iterable((*waiting, *paired)))
        return [place for place in self.read_again if place not in counted_later]

    def moments(self) -> list[tuple[int, Moment]]:
        """Return the Moments that were closed and not judged, with their numbers, in order."""
        found = [
            (stored.number, self._moment(state.source, stored))
            for state in self.states
            for stored in state.unsettled
        ]
        return sorted(found, key=lambda pair: pair[0])

    def _places(self, modality: Modality) -> set[Place]:
        held = (place for state in self.states for place in state.held)
        return {place for place in held if place.modality is modality}

    def _moment(self, source: str, stored: UnsettledMoment) -> Moment:
        return Moment(
            source=source,
            start=stored.start,
            end=stored.end,
            events=tuple(self.events[place] for place in stored.events if place in self.events),
            closed_by=stored.closed_by,
            carried=None if stored.carried is None else self.events.get(stored.carried.place),
            correlation_id=stored.correlation_id,
            amends=stored.amends,
            silent_after=stored.silent_after,
        )
