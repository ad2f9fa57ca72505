"""Commits what the shards have to say: one unit at a time, each with the offsets of its inputs."""

from __future__ import annotations

import time
from collections.abc import Collection
from concurrent.futures import Future
from dataclasses import dataclass

from worker.core.ports import CommitUnit, LogError, Outbox, Ownership
from worker.core.rfc3339 import seconds
from worker.core.tracing import Traced
from worker.errors import FailedRunError
from worker.runtime.report import Reporter
from worker.runtime.shard import Shard

MIB = 1024 * 1024
COMMIT_OUTPUTS, COMMIT_BYTES = 500, 16 * MIB  # waiting outputs that make a commit due at once
MAX_WAITING_OUTPUTS, MAX_WAITING_BYTES = 2000, 64 * MIB  # at which no more are made
COMMIT_INTERVAL = seconds(1)  # while it is quiet, unless there is an alert


@dataclass(frozen=True, slots=True)
class _Submitted:
    future: Future[None]
    shards: tuple[Shard, ...]
    ends: list[Traced]  # of the windows whose observations are in the unit
    since: float


class Commits:
    """The commits of one worker. A unit is taken from the shards once the one before is visible."""

    def __init__(self, outbox: Outbox, reporter: Reporter) -> None:
        self._outbox = outbox
        self._reporter = reporter
        self._submitted: _Submitted | None = None
        self._last = 0
        self._settled: list[tuple[Shard, Traced]] = []

    def settled(self, shard: Shard, end: Traced) -> None:
        """Note that the shard has an observation of the window that ends so."""
        self._settled.append((shard, end))

    def step(self, shards: Collection[Shard], ownership: Ownership | None, now: int) -> None:
        """Begin a commit where one is due. Raises LogError where the one before has failed."""
        if self._submitted is not None and self._submitted.future.done():
            self._complete(self._submitted, now, timeout=0)
        if self._submitted is None and (
            _is_urgent(shards) or is_due(now, self._last, COMMIT_INTERVAL)
        ):
            self._submit(shards, ownership, now)

    def finish(
        self, shards: Collection[Shard], ownership: Ownership | None, now: int, deadline: float
    ) -> None:
        """Commit all there is. Raises LogError, or FailedRunError at `deadline` (monotonic)."""
        self._await(now, deadline)
        self._submit(shards, ownership, now)
        self._await(now, deadline)

    @property
    def is_pending(self) -> bool:
        """Whether a commit is under way."""
        return self._submitted is not None

    @staticmethod
    def is_full(shards: Collection[Shard]) -> bool:
        """Whether so much waits for its commit that nothing more may be made."""
        return Commits.fill(shards) >= 1

    @staticmethod
    def fill(shards: Collection[Shard]) -> float:
        """Return the share of the outputs, or of their bytes, that may wait for a commit."""
        outputs, size = _waiting(shards)
        return max(outputs / MAX_WAITING_OUTPUTS, size / MAX_WAITING_BYTES)

    def _submit(self, shards: Collection[Shard], ownership: Ownership | None, now: int) -> None:
        taken = [(shard, unit) for shard in shards if (unit := shard.take()) is not None]
        if not taken:
            return
        if ownership is None:
            raise LogError("not_a_member", "there is nothing to commit for", retriable=True)
        unit = CommitUnit(
            outputs=tuple(output for _, unit in taken for output in unit.outputs),
            offsets={p: committed for _, unit in taken for p, committed in unit.offsets.items()},
        )
        ends = [end for shard, end in self._settled if any(shard is each for each in shards)]
        self._settled, self._last = [], now
        since, said = time.monotonic(), tuple(shard for shard, _ in taken)
        self._submitted = _Submitted(self._outbox.submit(unit, ownership), said, ends, since)

    def _await(self, now: int, deadline: float) -> None:
        if self._submitted is not None:
            left = max(0.0, deadline - time.monotonic())
            self._complete(self._submitted, now, timeout=left)

    def _complete(self, submitted: _Submitted, now: int, timeout: float) -> None:
        try:
            submitted.future.result(timeout)
        except TimeoutError:
            raise FailedRunError(
                "the last commit was not confirmed in time; what is not visible is read again"
            ) from None
        self._submitted = None
        for shard in submitted.shards:
            shard.committed()
        self._reporter.committed(submitted.ends, time.monotonic() - submitted.since, now)


def is_due(now: int, last: int, interval: int) -> bool:
    """Tell whether an interval has passed since `last`; a clock that went back must not delay it.

    >>> [is_due(now, last=10, interval=5) for now in (14, 15, 9)]
    [False, True, True]
    """
    return not 0 <= now - last < interval


def _is_urgent(shards: Collection[Shard]) -> bool:
    """Tell whether somebody waits for a commit, or so much does that it should not grow."""
    outputs, size = _waiting(shards)
    is_large = outputs >= COMMIT_OUTPUTS or size >= COMMIT_BYTES
    return is_large or any(each.wants_commit or each.outputs.has_alert for each in shards)


def _waiting(shards: Collection[Shard]) -> tuple[int, int]:
    outputs = [shard.outputs for shard in shards]
    return sum(map(len, outputs)), sum(each.size for each in outputs)
