"""`mmworker run` with small honest encoders, and a producer that can end the process anywhere.

    python -m tests.chaos.worker_process CONFIG --kill-at after_send --kill-after 3

All else is the real thing: the command's own wiring, its Service, Kafka, Redis, HTTP.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

from kafka import KafkaProducer

from tests.runtime.builders import encoders
from worker.adapters.kafka import transactions
from worker.cli import run, service
from worker.errors import FailedRunError, OperatorError

# The steps of a commit, in order: the transaction is begun; all outputs are in the log; the offsets
# are in the transaction; its end was asked for and not confirmed; it was confirmed.
STEPS = ("before_send", "after_send", "after_offsets", "during_commit", "after_commit")
CONTEXT = multiprocessing.get_context("forkserver")


class KillPlan:
    """When the process is to kill itself; the driver changes it while the process runs."""

    def __init__(self) -> None:
        self._step = CONTEXT.RawValue("i", -1)
        self._commits = CONTEXT.RawValue("i", 0)
        self._delay = CONTEXT.RawValue("d", 0.0)

    def arm(self, step: str, commits: int = 1, delay: float = 0.0) -> None:
        """Kill at the step of the `commits`th commit from now.

        `delay` in seconds is for `during_commit`: from the request's sending on.
        """
        self._commits.value, self._delay.value = commits, delay
        self._step.value = STEPS.index(step)

    def begin(self) -> None:
        """Count a commit."""
        self._commits.value -= 1

    def reach(self, step: str) -> None:
        """Die here if this is the place."""
        if self.is_due(step):
            os.kill(os.getpid(), signal.SIGKILL)

    def is_due(self, step: str) -> bool:
        """Return whether this is the place."""
        step_reached: bool = self._step.value == STEPS.index(step)
        return step_reached and self._commits.value <= 0

    @property
    def delay(self) -> float:
        """Seconds from the sending of the end of a transaction to the kill."""
        return float(self._delay.value)


class MortalProducer(KafkaProducer):  # type: ignore[misc]  # kafka-python has no types
    """The client's producer; the process ends at the step that the plan names."""

    plan: ClassVar[KillPlan]
    transaction_timeout_ms: ClassVar[int]

    def __init__(self, **configs: Any) -> None:
        timeout = {"transaction_timeout_ms": self.transaction_timeout_ms}
        super().__init__(**(configs | timeout))

    def begin_transaction(self) -> None:
        super().begin_transaction()
        self.plan.begin()
        self.plan.reach("before_send")

    def flush(self, timeout: float | None = None) -> None:
        super().flush(timeout=timeout)
        self.plan.reach("after_send")

    def send_offsets_to_transaction(self, offsets: Any, group_metadata: Any) -> None:
        super().send_offsets_to_transaction(offsets, group_metadata)
        self.plan.reach("after_offsets")

    def commit_transaction(self) -> None:
        if self.plan.is_due("during_commit"):
            threading.Thread(target=self._die_soon, daemon=True).start()
        super().commit_transaction()
        self.plan.reach("after_commit")
        self.plan.reach("during_commit")  # the answer was faster than the kill

    def _die_soon(self) -> None:
        time.sleep(self.plan.delay)
        self.plan.reach("during_commit")


def serve(config: Path, log: Path, plan: KillPlan, transaction_timeout: float) -> None:
    """Run a worker until SIGTERM, its output in `log`. Ends with its parent."""
    with log.open("ab") as output:
        for stream in (1, 2):
            os.dup2(output.fileno(), stream)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.exit(work(config, plan, transaction_timeout))


def work(config: Path, plan: KillPlan, transaction_timeout: float) -> int:
    """Run a worker until SIGTERM; return the exit code."""
    MortalProducer.plan = plan
    MortalProducer.transaction_timeout_ms = int(transaction_timeout * 1000)
    with (
        patch.object(transactions, "KafkaProducer", MortalProducer),
        patch.object(service, "measured_encoders", lambda *_: encoders()),
    ):
        try:
            run.run(config)
        except (OperatorError, FailedRunError) as error:
            sys.stderr.write(f"error: {error}\n")
            return 2 if isinstance(error, OperatorError) else 1
    return 0


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--kill-at", choices=STEPS)
    parser.add_argument("--kill-after", type=int, default=1, metavar="N", help="of the Nth commit")
    parser.add_argument("--transaction-timeout", type=float, default=60.0, metavar="SECONDS")
    options = parser.parse_args()
    plan = KillPlan()
    if options.kill_at:
        plan.arm(options.kill_at, options.kill_after)
    return work(options.config, plan, options.transaction_timeout)


if __name__ == "__main__":
    sys.exit(main())
