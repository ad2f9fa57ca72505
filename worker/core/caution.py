"""What to do about a record that ends the process, such as one that a decoder aborts over.

Whoever takes a partition index over first commits that it has begun, so a start that got nowhere
is known to the next one. That process lets a single Moment out at a time, of all its indices, and
commits which one before; a Moment that ended the process is tried event by event. An event that
three processes in a row had announced and that all of them ended over is given up.

    begun      --a Moment is judged-->  nothing to say
    begun      --the process ends---->  successors announce each Moment, or event of a suspect one
    announced  --said, let out------->  out
    announced  --a clean stop-------->  as though the process had never been
    out        --it comes through---->  judged: others are no suspects any more
    either     --the process ends---->  one more in `by`; one that is halted or fenced counts too,
                                        until it is seen among the members
    three in `by`, none a member----->  guilty: a dead letter

How a process ended nobody can tell. A kill from outside counts if it falls between the commit that
announces an event and the one that judges it; three of them have to, with no Moment between.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from worker.core.moment import Moment
from worker.core.source_state import Place, place_of

TRIES = 3  # processes that an announced event may end
CAREFUL_MOMENTS = (
    128  # let out one at a time: more than are under way in a process that got nowhere
)
MAX_IN_A_ROW = 3  # given up without a Moment between them: it is not the records' fault then


class Care:
    """What the indices of a process share: whether to be careful, and whose turn it is."""

    def __init__(self) -> None:
        self._left = 0
        self._holder: object = None

    def begin(self) -> None:
        """Be careful with the Moments that come next."""
        self._left = CAREFUL_MOMENTS

    @property
    def is_needed(self) -> bool:
        """Whether only one Moment may be out at a time."""
        return self._left > 0

    def judged(self) -> None:
        """Note that a Moment came through."""
        self._left = max(0, self._left - 1)

    def take_turn(self, who: object) -> bool:
        """Tell whether it is the turn of `who`, which it is where it was nobody's."""
        self._holder = who if self._holder is None else self._holder
        return self._holder is who

    def end_turn(self, who: object) -> None:
        """Let it be somebody else's turn, if it was that of `who`."""
        if self._holder is who:
            self._holder = None


@dataclass(frozen=True, slots=True)
class Attempts:
    """What a process says before it works on something, for those that come after it.

    `begun`: no Moment was judged since it, or one before it, began. `events` are worked on
    together by the last one of the processes `by`, and were by the others, none of which stopped
    cleanly; `apart`: each of the events came through alone. `quarantined` counts those given up
    since the last Moment was judged.
    """

    begun: bool = False
    events: tuple[Place, ...] = ()
    apart: bool = False
    by: tuple[str, ...] = ()
    quarantined: int = 0

    def without(self, living: Collection[str]) -> Attempts:
        """Return the same less processes that live on: they only lost the partition."""
        return replace(self, by=tuple(each for each in self.by if each not in living))

    @property
    def guilty(self) -> frozenset[Place]:
        """The events that have ended as many processes as they may."""
        is_proven = len(self.events) == 1 or self.apart
        if is_proven and len(self.by) >= TRIES and self.quarantined < MAX_IN_A_ROW:
            return frozenset(self.events)
        return frozenset()


class Caution:
    """Says what `process` may work on. `attempts` is what each of its commits has to say."""

    def __init__(self, process: str, care: Care, before: Attempts) -> None:
        self.guilty = before.guilty
        self.attempts = before
        self.wants_commit = False
        self._process = process
        self._care = care
        self._before = before  # what there is to say without an announcement of its own
        self._said = before
        self._passed = 0  # pieces of the present Moment that came through
        self._is_out = False
        self._has_judged = False
        if before.begun:
            care.begin()

    def next(self, moment: Moment) -> Moment | None:
        """Return what may be worked on now: the Moment or one event of it.

        None while something else is out, or before a commit has said what `attempts` says now.
        """
        if self._care.is_needed:
            return self._piece(moment)
        if not self._said.begun and not self._has_judged:
            self.attempts = replace(self.attempts, begun=True)
            self.wants_commit = self._said != self.attempts
        return None if self.wants_commit else moment

    def said(self, attempts: Attempts) -> None:
        """Note that a commit with these attempts is visible."""
        self._said = attempts
        self.wants_commit = False

    def passed(self) -> None:
        """Note that a single event came through, and nothing else is known yet."""
        self.attempts = Attempts(begun=True, quarantined=self.attempts.quarantined)
        self._passed += 1
        self._end_turn()

    def judged(self) -> None:
        """Note that a Moment came through and will be in the next commit."""
        self._passed, self._has_judged = 0, True
        self._care.judged()
        self.attempts = self._before = Attempts(begun=self._care.is_needed)
        self._end_turn()

    def withdraw(self) -> None:
        """Take back what is announced and not let out: the process ends, and not by that."""
        if not self._is_out:
            self.attempts = self._before

    def leave(self) -> None:
        """Let go of the turn: the partition index is somebody else's now."""
        self._end_turn()

    def gave_up(self) -> None:
        """Note that the guilty events are dead letters, which will be in the next commit."""
        self.guilty = frozenset()
        self.attempts = Attempts(begun=True, quarantined=self.attempts.quarantined + 1)
        self._before = self.attempts

    def _piece(self, moment: Moment) -> Moment | None:
        if self._is_out or not self._care.take_turn(self):
            return None
        pieces = self._pieces(moment)
        piece = pieces[self._passed]
        self.attempts = Attempts(
            begun=True,
            events=tuple(map(place_of, piece.events)),
            apart=piece is moment and len(pieces) > 1,
            by=(*self._accusers(piece), self._process),
            quarantined=self.attempts.quarantined,
        )
        self.wants_commit = self._said != self.attempts
        self._is_out = not self.wants_commit
        return piece if self._is_out else None

    def _end_turn(self) -> None:
        self._is_out = False
        self._care.end_turn(self)

    def _pieces(self, moment: Moment) -> list[Moment]:
        """Return what is to be tried, one after the other: suspects first, the Moment last."""
        suspects = [event for event in moment.events if place_of(event) in self._before.events]
        if not suspects or len(moment.events) == 1:
            return [moment]
        others = [event for event in moment.events if event not in suspects]
        alone = [
            replace(moment, events=(event,), carried=None, is_trial=True)
            for event in (*suspects, *others)
        ]
        return [*alone, moment]

    def _accusers(self, piece: Moment) -> tuple[str, ...]:
        """Return the processes that ended while they worked on all of its events, maybe on more."""
        is_known = {place_of(event) for event in piece.events} <= set(self._before.events)
        return self._before.by if is_known else ()
