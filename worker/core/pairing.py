"""Pairs the events of each source into Moments. One instance serves one partition index.

Nothing here is shared between sources but the append clock: a camera's clock, lag, gaps or
silence affect no other camera. What happens depends only on the sequence of calls.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping

from worker.core.events import Event, Modality
from worker.core.moment import Duplicate, Excess, Forgotten, Late, Outcome
from worker.core.pairing_rules import PairingRules
from worker.core.source_pairing import SourcePairing
from worker.core.source_state import Kept, PairingState, Place

MAX_SILENT_SOURCES = 10_000  # remembered, so that what comes late for them is late


class Pairing:
    """The state machine of all sources of one partition index."""

    def __init__(self, rules: PairingRules) -> None:
        self._rules = rules
        # In order of their last accepted event's append time: silence looks at the first ones only.
        self._active: OrderedDict[str, SourcePairing] = OrderedDict()
        self._silent: dict[str, SourcePairing] = {}
        self._clock = 0
        self._accepted = 0

    def restore(
        self, clock: int, states: Mapping[str, PairingState], events: Mapping[Place, Event]
    ) -> None:
        """Become what the sources' states were taken from, at append time `clock`."""
        self._clock = clock
        for name, state in sorted(states.items(), key=lambda item: item[1].order):
            source = SourcePairing(name, self._rules)
            source.restore(state, events)
            (self._silent if state.silent else self._active)[name] = source
            self._accepted = max(self._accepted, state.order)

    def state(self, name: str, keep: Callable[[Event], Kept]) -> PairingState | None:
        """Return what is known of a source; None where it is not, or no longer, known."""
        source = self._active.get(name) or self._silent.get(name)
        return None if source is None else source.state(name in self._silent, keep)

    def knows(self, name: str) -> bool:
        """Tell whether a source has been heard and is remembered."""
        return name in self._active or name in self._silent

    def advance(self, append_time: int) -> Iterator[Outcome]:
        """Let append time pass; close the windows of sources that have been silent for too long.

        The clock never goes back: an earlier time is taken as the present one.
        """
        self._clock = max(self._clock, append_time)
        while self._active:
            longest = next(iter(self._active.values()))
            if self._clock - longest.last_append < self._rules.idle_timeout:
                return
            yield from self._silence_first()

    def add(self, event: Event) -> Iterator[Outcome]:
        """Place one event, after the append clock was advanced to its append time."""
        source = self._active.get(event.source) or self._silent.get(event.source)
        if source is None:
            source = SourcePairing(event.source, self._rules)
        if source.is_duplicate(event):
            yield Duplicate(event)
            return
        if (watermark := source.lateness(event)) is not None:
            yield source.amendment(event) if event.amends else Late(event, watermark)
            return
        if source.is_full_for(event):
            yield Excess(event)
            return
        if self._silent.pop(event.source, None) is not None:
            source.wake(self._clock)
        self._active[event.source] = source
        self._active.move_to_end(event.source)
        self._accepted += 1
        source.order = self._accepted
        yield from source.accept(event, self._clock)

    def put_down(self, event: Event) -> Iterator[Outcome]:
        """Carry an event no more, if it is what its source carries."""
        source = self._active.get(event.source) or self._silent.get(event.source)
        if source is not None:
            yield from source.put_down(event)

    def flush(self) -> Iterator[Outcome]:
        """Close everything, as if all sources had gone silent: nothing will follow.

        The append clock stays where it is, for those who go on from here after all.
        """
        while self._active:
            yield from self._silence_first()

    def drop_captions(self) -> list[str]:
        """Carry no caption on; return the sources that had one. All of them must be silent."""
        return [name for name, source in self._silent.items() if source.drop_caption()]

    def buffered(self) -> dict[Modality, tuple[int, int]]:
        """Return per modality how many events wait for their Moment, and their records' bytes."""
        totals = dict.fromkeys(Modality, (0, 0))
        for source in (*self._active.values(), *self._silent.values()):
            for event in source.waiting():
                entries, size = totals[event.modality]
                totals[event.modality] = (entries + 1, size + event.record.size)
        return totals

    @property
    def size(self) -> int:
        """The bytes of the records that wait for their Moment."""
        return sum(size for _, size in self.buffered().values())

    @property
    def clock(self) -> int:
        """The append time reached."""
        return self._clock

    @property
    def active_sources(self) -> int:
        """Sources that are not silent."""
        return len(self._active)

    @property
    def silent_sources(self) -> int:
        """Sources that were heard once and are silent now."""
        return len(self._silent)

    def stopped(self) -> Counter[Modality]:
        """Return of how many active sources an awaited modality has stopped."""
        return Counter(each for source in self._active.values() for each in source.stopped)

    @property
    def silent_fill(self) -> float:
        """The share of the silent sources that may be remembered."""
        return len(self._silent) / MAX_SILENT_SOURCES

    def oldest_watermark(self) -> int | None:
        """Return the smallest event time up to which an active source's windows are closed."""
        return min((source.watermark for source in self._active.values()), default=None)

    def _silence_first(self) -> Iterator[Outcome]:
        """Let the source fall silent whose last accepted event is the oldest."""
        name, source = self._active.popitem(last=False)
        self._silent[name] = source
        yield from source.silence()
        if len(self._silent) > MAX_SILENT_SOURCES:
            forgotten = next(iter(self._silent))
            del self._silent[forgotten]
            yield Forgotten(forgotten)
