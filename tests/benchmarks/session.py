"""One session of a worker in this process, whose outbox says how far it has come."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace

from worker.core.ports import CommitUnit, Outbox, Ownership
from worker.errors import FailedRunError
from worker.runtime.inference import Inference
from worker.runtime.rules import WorkerRules
from worker.runtime.worker import Ports, Worker

_STALLED_SECONDS = 600.0  # without an Observation, after which it is given up
_CLOSE_SECONDS = 5.0


class CountingOutbox:
    """An Outbox that counts the commits, and the Observations that have become visible."""

    def __init__(self, outbox: Outbox, topic: str) -> None:
        self._outbox = outbox
        self._topic = topic
        self.observations = 0
        self.commits = 0

    def submit(self, unit: CommitUnit, ownership: Ownership) -> Future[None]:
        """Begin to commit."""
        count = sum(output.topic == self._topic for output in unit.outputs)
        future = self._outbox.submit(unit, ownership)
        future.add_done_callback(lambda done: self._note(done, count))
        return future

    def close(self, timeout: float) -> None:
        """Close the outbox."""
        self._outbox.close(timeout)

    def _note(self, done: Future[None], count: int) -> None:
        if done.exception() is None:
            self.observations += count
            self.commits += 1


@dataclass(frozen=True, slots=True)
class Session:
    """A worker under way."""

    worker: Worker
    outbox: CountingOutbox

    def join(self) -> None:
        """Step until the worker is a member that knows its state."""
        while not self.worker.is_member:
            self.worker.step()

    def judge(self, moments: int) -> None:
        """Step until so many Observations are visible. Raises FailedRunError where it stalls."""
        seen, heard = 0, time.monotonic()
        while self.outbox.observations < moments:
            self.worker.step()
            if self.outbox.observations > seen:
                seen, heard = self.outbox.observations, time.monotonic()
            elif time.monotonic() - heard > _STALLED_SECONDS:
                raise FailedRunError(f"the worker halted after {seen} of {moments} Moments")


@contextmanager
def session(ports: Ports, inference: Inference, rules: WorkerRules) -> Iterator[Session]:
    """Begin a session and end it as a crash does: with nothing more committed."""
    outbox = CountingOutbox(ports.outbox, rules.shard.topics.observations)
    try:
        yield Session(Worker(replace(ports, outbox=outbox), inference, rules), outbox)
    finally:
        inference.close()
        outbox.close(_CLOSE_SECONDS)
        ports.state.close()
        ports.log.close()
        ports.background.shutdown(cancel_futures=True)
