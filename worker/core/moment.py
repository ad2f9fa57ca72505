"""A Moment: everything that belongs to one source and one stretch of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from worker.core.events import MODALITIES, Event, Modality

T = TypeVar("T")


class ClosedBy(StrEnum):
    """Why a Moment was closed."""

    WATERMARK = "watermark"
    SILENCE = "silence"
    COMPLETE = "complete"


class Effort(StrEnum):
    """How much of a Moment is worked on. Less of it is flagged in its Observation."""

    FULL = "full"
    FEWER_FRAMES = "fewer_frames"  # half of those that are usual
    ONE_FRAME = "one_frame"
    NO_FRAME_ENCODER = "no_frame_encoder"  # one frame, for the experts that need no network
    NO_PICTURE = "no_picture"  # frames are checked only
    CAPTION_ALONE = "caption_alone"  # and sound

    def frames(self, usual: int) -> int:
        """Return at most how many frames are looked at, of so many as are usual."""
        match self:
            case Effort.FULL:
                return usual
            case Effort.FEWER_FRAMES:
                return (usual + 1) // 2
            case Effort.ONE_FRAME | Effort.NO_FRAME_ENCODER:
                return min(1, usual)
            case _:
                return 0


@dataclass(frozen=True, slots=True)
class Derived:
    """A text that no event brought: it was made from what another modality holds."""

    modality: Modality  # what it stands for
    origin: Modality  # what it was made from
    text: str


@dataclass(frozen=True, slots=True)
class Moment:
    """The events of one source in one window `[start, end)`, or with one correlation id.

    `events` are in event-time order; `carried` is an earlier caption that still holds. One that
    `amends` an earlier Moment is an event that was set aside and sent again. `silent_after`: the
    source fell silent with it, so it is the last one until the source speaks again. `derived` is
    what was made of its media, where something is (`models.speech`); it follows from them alone.
    One that `is_trial` is a single event of one, to see whether it can be worked on.
    """

    source: str
    start: int
    end: int
    events: tuple[Event, ...]
    closed_by: ClosedBy
    carried: Event | None = None
    correlation_id: str | None = None
    amends: bool = False
    silent_after: bool = False
    effort: Effort = Effort.FULL
    derived: tuple[Derived, ...] = ()
    is_trial: bool = False

    def of(self, modality: Modality) -> tuple[Event, ...]:
        """Return the events of one modality that fell into this Moment, oldest first."""
        return tuple(event for event in self.events if event.modality is modality)

    @property
    def present(self) -> tuple[Modality, ...]:
        """The modalities with an event of their own."""
        held = {event.modality for event in self.events}
        return tuple(modality for modality in MODALITIES if modality in held)

    @property
    def carried_modalities(self) -> tuple[Modality, ...]:
        """The modalities that only an earlier event speaks for."""
        own = (*self.present, *self.derived_modalities)
        if self.carried is None or Modality.CAPTION in own:
            return ()
        return (Modality.CAPTION,)

    @property
    def derived_modalities(self) -> tuple[Modality, ...]:
        """The modalities that something derived speaks for, beside an event of theirs or alone."""
        held = {each.modality for each in self.derived}
        return tuple(modality for modality in MODALITIES if modality in held)

    @property
    def missing(self) -> tuple[Modality, ...]:
        """The modalities of which no event says anything, neither an own nor an earlier one."""
        known = (*self.present, *self.carried_modalities)
        return tuple(modality for modality in MODALITIES if modality not in known)

    @property
    def caption(self) -> Event | None:
        """The caption that speaks for this Moment: its newest own one, else the carried one."""
        own = self.of(Modality.CAPTION)
        return own[-1] if own else self.carried

    @property
    def size(self) -> int:
        """The bytes of its own events' records."""
        return sum(event.record.size for event in self.events)

    @property
    def traceparent(self) -> str | None:
        """The `traceparent` of its first event that has one."""
        return next((event.traceparent for event in self.events if event.traceparent), None)

    def without(self, rejected: frozenset[tuple[Modality, str]]) -> Moment:
        """Return the Moment less the events whose identity is in `rejected`."""
        carried = self.carried
        if carried is not None and carried.identity in rejected:
            carried = None
        kept = tuple(event for event in self.events if event.identity not in rejected)
        return replace(self, events=kept, carried=carried)


@dataclass(frozen=True, slots=True)
class Closed:
    """A Moment is complete. Pairing itself needs the records of `released` no more."""

    moment: Moment
    released: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Late:
    """An event came after its time. `watermark` is the event time that had been reached."""

    event: Event
    watermark: int


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The event is known already and its Moment is still open."""

    event: Event


@dataclass(frozen=True, slots=True)
class Excess:
    """The event's Moment has as many events as one may have."""

    event: Event


@dataclass(frozen=True, slots=True)
class Released:
    """A carried caption whose record need not be read again, although it may still be carried."""

    event: Event


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A source has been silent for so long that nothing is known of it any more."""

    source: str


Outcome = Closed | Late | Duplicate | Excess | Released | Forgotten


def last_marked(outcomes: list[Outcome]) -> Iterator[Outcome]:
    """Yield what a silence causes, and let the last Moment say that none follows."""
    last = max((n for n, each in enumerate(outcomes) if isinstance(each, Closed)), default=None)
    for number, outcome in enumerate(outcomes):
        if number == last and isinstance(outcome, Closed):
            yield replace(outcome, moment=replace(outcome.moment, silent_after=True))
        else:
            yield outcome


def evenly(items: Sequence[T], limit: int) -> Sequence[T]:
    """Return at most `limit` of the items, evenly spread, in order.

    >>> [evenly(list(range(10)), limit) for limit in (1, 4, 20)]
    [[5], [1, 3, 6, 8], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]
    """
    count = len(items)
    if count <= limit:
        return items
    return [items[(2 * place + 1) * count // (2 * limit)] for place in range(limit)]
