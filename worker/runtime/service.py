"""Keeps a worker going until it is told to stop: one session after another.

A session is everything from joining the group to leaving it. When a commit fails, or its outcome
is unknown, the session's memory is thrown away and a new one begins at the last committed offsets.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from worker.core.ports import LogError
from worker.errors import FailedRunError
from worker.runtime.health import Health
from worker.runtime.inference import Inference
from worker.runtime.worker import Ports, ShardFactory, Worker

FINISH_SECONDS = 45.0  # for what is in flight at a stop; inside a pod's grace period of 60 s
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
        make_shard: ShardFactory,
        max_buffered_bytes: int,
        health: Health,
    ) -> None:
        self._open_ports = open_ports
        self._open_inference = open_inference
        self._make_shard = make_shard
        self._max_buffered_bytes = max_buffered_bytes
        self._health = health

    def run(self, stop: threading.Event) -> None:
        """Return once `stop` is set and what was in flight is committed. Raises FailedRunError."""
        failures = 0
        while not stop.is_set():
            began = time.monotonic()
            try:
                self._session(stop)
            except LogError as error:
                lasted = time.monotonic() - began >= LASTED_SECONDS
                failures = 1 if lasted else failures + 1
                self._health.ready(False, error.reason)
                log.warning("session failed", reason=error.reason, error=str(error))
                if not error.retriable or failures >= MAX_FAILURES:
                    raise FailedRunError(str(error)) from error
                stop.wait(min(MAX_BACKOFF_SECONDS, 2.0**failures / 2))

    def _session(self, stop: threading.Event) -> None:
        ports = self._open_ports()
        inference = self._open_inference()
        worker = Worker(ports, inference, self._make_shard, self._max_buffered_bytes)
        try:
            while not stop.is_set():
                worker.step()
                self._health.tick(time.monotonic())
                if worker.is_member:
                    self._health.ready(True, "")
            self._health.ready(False, "stopping")
            log.info("stopping", finish_within_seconds=FINISH_SECONDS)
            worker.finish(FINISH_SECONDS)
        except LogError as error:
            ports.telemetry.commit_failed(error.reason)
            raise
        finally:
            ports.outbox.close(timeout=5.0)
            ports.log.close()
            inference.close()
