"""What people have said and what is to be heeded before the next Moment of its source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from worker.core.messages.feedback import Feedback
from worker.errors import InvalidEventError, Reason

MAX_WAITING_EACH = 32  # of a source, since it last closed a Moment
MAX_WAITING = 10_000  # of a partition index, likewise


@dataclass(frozen=True, slots=True)
class Said:
    """Feedback that came when so many Moments of the partition index were closed.

    It `waits` until its source closes a Moment, which it then belongs to.
    """

    feedback: Feedback
    closed: int
    waits: bool = True


class Inbox:
    """Feedback by source, until it is heeded.

    What belongs to which Moment, and what is too much, follows from the merged order of all records
    alone. Only what waits is bounded: what has a Moment goes with it, or, where nothing of that can
    be decoded, with the next one.
    """

    def __init__(self) -> None:
        self._said: dict[str, list[Said]] = {}
        self._waiting = 0

    def restore(self, source: str, said: Iterable[Said]) -> None:
        """Take up what was said about a source."""
        for each in said:
            self._said.setdefault(source, []).append(each)
            self._waiting += each.waits

    def add(self, feedback: Feedback, closed: int) -> None:
        """Let feedback wait. Raises InvalidEventError where too much of it does."""
        waiting = sum(each.waits for each in self.of(feedback.source))
        if waiting >= MAX_WAITING_EACH or self._waiting >= MAX_WAITING:
            raise InvalidEventError(
                Reason.FEEDBACK_BACKLOG,
                f"{waiting} of its source and {self._waiting} of all wait for a Moment already",
            )
        self.restore(feedback.source, [Said(feedback, closed)])

    def close(self, source: str) -> None:
        """Note that a source has closed a Moment."""
        if (said := self._said.get(source)) is not None:
            self._waiting -= sum(each.waits for each in said)
            self._said[source] = [replace(each, waits=False) for each in said]

    def due(self, source: str, number: int) -> tuple[Feedback, ...]:
        """Take out what is to be heeded before the source's Moment of this number."""
        said = self._said.pop(source, [])
        later = [each for each in said if each.closed >= number]
        if later:
            self._said[source] = later
        return tuple(each.feedback for each in said if each.closed < number)

    def of(self, source: str) -> tuple[Said, ...]:
        """Return what was said about a source and not heeded yet."""
        return tuple(self._said.get(source, ()))

    @property
    def fill(self) -> float:
        """The share of its bound that waits."""
        return self._waiting / MAX_WAITING
