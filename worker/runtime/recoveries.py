"""Recovers partition indices away from the poll loop, each until its last commit can be seen.

Where that says that events are to be given up, it is looked at once more, after some seconds: who
is a member again by then was not ended by them.
"""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from worker.core.ports import StateLog, TopicPartition
from worker.core.rfc3339 import seconds
from worker.errors import StateError
from worker.runtime.adapting import GIVE_UP
from worker.runtime.recovery import Recovered, RecoveryRules, recover

RETRY_INTERVAL = seconds(0.1)
UNBLOCK_AFTER = seconds(2)  # commits of live members take a tenth of that
VERDICT_AFTER = seconds(10)  # by when a process that was halted or fenced is a member again
GIVE_UP_AFTER = seconds(90)  # longer than brokers let a transaction stay open


@dataclass(slots=True)
class _Attempt:
    partitions: frozenset[TopicPartition]
    began: int
    next: int
    future: Future[Recovered | None] | None = None


class Recoveries:
    """Those under way. Not thread-safe; what is read is read by `background`."""

    def __init__(self, background: Executor, log: StateLog, rules: RecoveryRules) -> None:
        self._background = background
        self._log = log
        self._rules = rules
        self._attempts: dict[int, _Attempt] = {}

    def begin(self, index: int, partitions: Collection[TopicPartition], now: int) -> None:
        """Begin with an index; `now` in microseconds."""
        self._attempts[index] = _Attempt(frozenset(partitions), now, now)

    def drop(self, index: int) -> None:
        """Forget an index."""
        self._attempts.pop(index, None)

    @property
    def pending(self) -> dict[int, frozenset[TopicPartition]]:
        """The indices under way, with their partitions."""
        return {index: attempt.partitions for index, attempt in self._attempts.items()}

    def completed(self, now: int) -> list[Recovered]:
        """Return those that are done, and go on with the others.

        Raises LogError or StateError where one has failed.
        """
        done: list[Recovered] = []
        for index, attempt in list(self._attempts.items()):
            recovered = self._advanced(index, attempt, now)
            if recovered is not None:
                del self._attempts[index]
                done.append(recovered)
        return done

    def _advanced(self, index: int, attempt: _Attempt, now: int) -> Recovered | None:
        future = attempt.future
        if future is None:
            if now >= attempt.next or now < attempt.began:
                attempt.future = self._background.submit(
                    recover, attempt.partitions, self._log, self._rules
                )
            return None
        if not future.done():
            return None
        recovered, attempt.future = future.result(), None
        if recovered is None:
            self._put_off(index, attempt, now)
        elif recovered.index.attempts.guilty and (due := attempt.began + VERDICT_AFTER) > now:
            attempt.next = due
            return None
        return recovered

    def _put_off(self, index: int, attempt: _Attempt, now: int) -> None:
        attempt.next = now + RETRY_INTERVAL
        if now - attempt.began > UNBLOCK_AFTER:
            self._background.submit(self._log.unblock)
            attempt.next = now + UNBLOCK_AFTER
        if now - attempt.began > GIVE_UP_AFTER:
            raise StateError(
                f"the last commit of partition {index} cannot be seen: its records are gone from"
                f" topics {self._rules.snapshots} or {self._rules.observations}; {GIVE_UP}"
            )
