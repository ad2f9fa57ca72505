"""Lets events out at the speed they happened, or a multiple of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from worker.core.rfc3339 import MICROSECONDS
from worker.errors import OperatorError
from worker.feed.events import FeedEvent


def paced(
    events: Iterable[FeedEvent],
    speed: float | None,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Iterator[FeedEvent]:
    """Return the events, each held back until its time has come.

    `speed` 1 is real time, N is N times as fast, None does not wait. `clock` returns seconds on any
    steady scale and `sleep` waits for seconds. The first event goes out at once and sets the zero
    of both scales; an event that is behind goes out at once and does not shift those after it.
    Raises OperatorError where `speed` is not above 0.
    """
    if speed is None:
        return iter(events)
    if not speed > 0:
        raise OperatorError(f"A speed of {speed} is not possible; give one above 0.")
    return _held(events, speed, clock, sleep)


def _held(
    events: Iterable[FeedEvent],
    speed: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Iterator[FeedEvent]:
    zero: tuple[int, float] | None = None
    for event in events:
        first, began = zero = zero or (event.time, clock())
        due = began + (event.time - first) / MICROSECONDS / speed
        wait = due - clock()
        if wait > 0:
            sleep(wait)
        yield event
