"""A run with one fault after the other: the alert for each has to fire, and to clear afterwards."""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.monitoring.__main__ import rules_text
from deploy.monitoring.pace import Pace
from tests.services.prometheus import prometheus
from tests.watching.load import CROWD, Crowd
from tests.watching.watched import Watched, watch
from worker.demo.services import local_kafka

FASTER = 600  # for what looks at six hours
CALM = 60 * CROWD  # Moments


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and how it is mended; `alert` is to be seen meanwhile."""

    name: str
    alert: str
    begin: Callable[[], None]
    end: Callable[[], None]


def faults(watched: Watched, crowd: Crowd) -> list[Fault]:
    """Return the faults in the order in which they are tried."""
    worker, redis = watched.worker, watched.redis
    return [
        Fault("Redis is away", "MmworkerDegraded", redis.kill, redis.restart),
        Fault(
            "one record in five is bad",
            "MmworkerDeadLetters",
            crowd.is_poisoned.set,
            crowd.is_poisoned.clear,
        ),
        Fault(
            "the worker is stopped",
            "MmworkerAbsent",
            lambda: worker.signal(signal.SIGSTOP),
            lambda: worker.signal(signal.SIGCONT),
        ),
        Fault("no camera sends", "MmworkerNoInput", crowd.is_quiet.set, crowd.is_quiet.clear),
        Fault(
            "all cameras are silent",
            "MmworkerSourcesSilent",
            crowd.is_quiet.set,
            crowd.is_quiet.clear,
        ),
        Fault(
            "all cameras show something else",
            "MmworkerPValuesDrift",
            crowd.is_strange.set,
            crowd.is_strange.clear,
        ),
        Fault(
            "eleven times as many cameras",
            "MmworkerFallingBehind",
            crowd.is_flooded.set,
            crowd.is_flooded.clear,
        ),
    ]


def tried(watched: Watched, fault: Fault) -> str:
    """Let a fault begin and end; return a row. Raises AssertionError where it is not noticed."""
    watched.await_clear(fault.alert)  # the fault before may have brought it too
    began = time.monotonic()
    fault.begin()
    watched.await_firing(fault.alert)
    fired = time.monotonic()
    fault.end()
    watched.await_clear(fault.alert)
    return (
        f"{fault.name:32} {fault.alert:22} {fired - began:6.1f} s {time.monotonic() - fired:6.1f} s"
    )


def main() -> int:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mmworker-")))
        kafka = stack.enter_context(local_kafka())
        watched = stack.enter_context(watch(kafka, directory))
        (directory / "faster").mkdir()
        rules = rules_text(Pace(FASTER))
        faster = stack.enter_context(prometheus(watched.site.target, directory / "faster", rules))
        crowd = Crowd()
        stack.callback(crowd.stop)
        crowd.begin(watched.site.config)
        watched.await_judged(CALM)
        _say(f"{'':32} {'alert':22} {'fired':>8} {'cleared':>8}")
        for fault in faults(watched, crowd):
            is_slow = fault.alert == "MmworkerPValuesDrift"
            _say(tried(replace(watched, server=faster) if is_slow else watched, fault))
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
