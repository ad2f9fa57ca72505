"""What is remembered of a source between two records, as a value that a restart begins from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from worker.core.alerts import AlertState
from worker.core.events import Event, Modality, Record
from worker.core.inbox import Said
from worker.core.moment import ClosedBy


class Place(NamedTuple):
    """Where an event's record is, within the partition index that its source belongs to."""

    modality: Modality
    offset: int


def place_of(event: Event) -> Place:
    """Return the place of the event's record."""
    return Place(event.modality, event.record.offset)


@dataclass(frozen=True, slots=True)
class Kept:
    """An event that is still needed: its place, and the record itself where offsets passed it."""

    place: Place
    record: Record | None = None


@dataclass(frozen=True, slots=True)
class PairingState:
    """All that a SourcePairing knows. `order` is the number of its last accepted event.

    `waiting` are the events in no Moment yet, `placed` the as-of captions taken, with their times.
    """

    order: int
    last_append: int
    silent: bool
    fronts: Mapping[Modality, int]
    closed_until: int | None
    waiting: tuple[Place, ...]
    carried: Kept | None
    carried_held: bool  # by pairing itself; else only by a Moment that is not judged yet
    placed: Mapping[str, int]
    closed_correlations: tuple[str, ...]
    woken: int | None = None  # append time of its first event after its last silence


@dataclass(frozen=True, slots=True)
class UnsettledMoment:
    """A Moment that was closed and not judged yet, the `number`-th of its partition index."""

    number: int
    start: int
    end: int
    events: tuple[Place, ...]
    closed_by: ClosedBy
    carried: Kept | None
    correlation_id: str | None
    amends: bool
    silent_after: bool = False  # which records of before this field do not have


@dataclass(frozen=True, slots=True)
class LearnedFrom:
    """What a scorer learned of a source, by the numbers of the Moments of its partition index.

    `snapshot` is that of the Moment after which its state was stored, if it was; the Moments from
    `first` to `last` were learned since. None of them where `first` is greater than `last`.
    """

    snapshot: int | None
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class SourceState:
    """All that is remembered of one source, but for the scorer's own numbers.

    `pairing` is None where the source has been silent for so long that it was forgotten.
    """

    source: str
    pairing: PairingState | None
    unsettled: tuple[UnsettledMoment, ...]
    alert: AlertState | None
    learned: LearnedFrom | None
    said: tuple[Said, ...] = ()  # which waits for a Moment
    shadow: AlertState | None = None  # by what is tried and only leaves a record,
    shadow_learned: LearnedFrom | None = None  # and by the scorer of a bundle that is

    @property
    def is_empty(self) -> bool:
        """Whether nothing is remembered."""
        parts = (self.pairing, self.alert, self.learned, self.shadow, self.shadow_learned)
        return not (self.unsettled or self.said) and all(part is None for part in parts)

    @property
    def swapped(self) -> SourceState:
        """It with what the live scorer has learned in the place of what the other one has."""
        return replace(self, learned=self.shadow_learned, shadow_learned=self.learned)

    @property
    def held(self) -> tuple[Place, ...]:
        """The places of the records that have to be read again, each as often as it is held."""
        waiting = () if self.pairing is None else self.pairing.waiting
        events = (place for moment in self.unsettled for place in moment.events)
        kept = [moment.carried for moment in self.unsettled]
        if self.pairing is not None and self.pairing.carried_held:
            kept.append(self.pairing.carried)
        carried = (each.place for each in kept if each is not None and each.record is None)
        return (*waiting, *events, *carried)

    @property
    def records(self) -> Mapping[Place, Record]:
        """The records that are kept here, since the log is not read again for them."""
        return {kept.place: kept.record for kept in self._carried if kept.record is not None}

    @property
    def _carried(self) -> tuple[Kept, ...]:
        all_carried = [moment.carried for moment in self.unsettled]
        if self.pairing is not None:
            all_carried.append(self.pairing.carried)
        return tuple(kept for kept in all_carried if kept is not None)
