"""Keeps a worker going until it is told to stop: one session after another.

A session is everything from joining the group to leaving it. When a commit fails, or its outcome
is unknown, the session's memory is thrown away and a new one begins at the last committed offsets.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

import structlog

from worker.core.ports import LogError
from worker.errors import FailedRunError, OperatorError, StateError
from worker.models.base import EncoderError
from worker.runtime.drain import Drained
from worker.runtime.health import Health
from worker.runtime.inference import Inference
from worker.runtime.rules import WorkerRules
from worker.runtime.worker import Ports, Worker

FINISH_SECONDS = 45.0  # for what is in flight at a stop; inside a pod's grace period of 60 s
CLOSE_SECONDS = 5.0  # for the outbox's last unit
MAX_BACKOFF_SECONDS = 30.0
MAX_FAILURES = 8  # sessions that failed in a row, without one that lasted
LASTED_SECONDS = 120.0  # a session that failed after so long counts as a success before

log = structlog.get_logger(__name__)


class Service:
    """Runs sessions. `open_ports` and `open_inference` make the parts of one session anew."""

    def __init__(
        self,
        open_ports: Callable[[], Ports],
        open_inference: Callable[[], Inference],
        rules: WorkerRules,
        health: Health,
        *,
        drains: bool = False,
    ) -> None:
        self._open_ports = open_ports
        self._open_inference = open_inference
        self._rules = rules
        self._health = health
        self._drains = drains
        self._was_member = False
        self._is_left_behind = False

    def run(self, stop: threading.Event) -> Drained | None:
        """Return once `stop` is set, or all is drained, and what was in flight is committed.

        None where it was stopped before all was drained, or does not drain. Raises FailedRunError,
        and OperatorError where not even the first session could begin.
        """
        failures = 0
        while not stop.is_set():
            began = time.monotonic()
            try:
                return self._session(stop)
            except (LogError, OperatorError) as error:
                lasted = time.monotonic() - began >= LASTED_SECONDS
                failures = 1 if lasted else failures + 1
                self._note(error)
                if not self._may_help(error) or failures >= MAX_FAILURES:
                    raise _final(error) from error
                stop.wait(min(MAX_BACKOFF_SECONDS, 2.0**failures / 2))
        return None

    def _session(self, stop: threading.Event) -> Drained | None:
        """Open everything, work, and close everything, whatever fails."""
        with ExitStack() as closing:
            inference = self._open_inference()
            closing.callback(self._close, inference)
            ports = self._open_ports()
            closing.callback(ports.log.close)
            closing.callback(ports.outbox.close, timeout=CLOSE_SECONDS)
            closing.callback(ports.state.close)
            closing.callback(ports.background.shutdown, cancel_futures=True)
            worker = Worker(ports, inference, self._rules, drains=self._drains)
            closing.callback(worker.discard)
            try:
                return self._work(worker, stop)
            except LogError as error:
                ports.telemetry.commit_failed(error.reason)
                raise
            except EncoderError as error:
                raise FailedRunError(f"An encoder failed ({error.reason}): {error}") from error

    def _work(self, worker: Worker, stop: threading.Event) -> Drained | None:
        while not (stop.is_set() or worker.drained or worker.exceeded):
            worker.step()
            self._health.tick(time.monotonic())
            if worker.is_member:
                self._was_member = True
                self._health.ready(True, "")
        self._health.ready(False, "stopping")
        log.info("stopping", finish_within_seconds=FINISH_SECONDS)
        drained = worker.drained
        worker.finish(FINISH_SECONDS)
        if worker.exceeded:  # only now: what is in outputs already is not to come again
            raise FailedRunError(worker.exceeded)
        return drained

    def _close(self, inference: Inference) -> None:
        if not inference.close():
            self._is_left_behind = True
            log.warning("a stage is left at work")

    def _note(self, error: LogError | OperatorError) -> None:
        reason = error.reason if isinstance(error, LogError) else "unreachable"
        self._health.ready(False, reason)
        log.warning("session failed", reason=reason, error=str(error))

    def _may_help(self, error: LogError | OperatorError) -> bool:
        """Tell whether a new session may go better: brokers come back, settings stay wrong.

        A stage that is left behind would use the encoders beside those of a new session.
        """
        if self._is_left_behind:
            return False
        if isinstance(error, LogError):
            return error.retriable
        return self._was_member and not isinstance(error, StateError)


def _final(error: LogError | OperatorError) -> Exception:
    return FailedRunError(str(error)) if isinstance(error, LogError) else error
