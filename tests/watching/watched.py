"""A worker, and a Prometheus that scrapes it and evaluates the chart's rules."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.monitoring.__main__ import rules_text
from deploy.monitoring.pace import Pace
from tests.e2e.site import Site, WorkerProcess, running
from tests.services.prometheus import Prometheus, prometheus
from worker.demo.services import LocalKafka, LocalRedis, local_redis

SPEED = 60
PATIENCE = 150.0  # seconds, for anything that has to come about
SETTINGS = {"models.frames_per_moment": 1}  # less to encode: the load is not what is tried here


@dataclass(frozen=True)
class Watched:
    """A worker that waits for events, and who watches it."""

    site: Site
    worker: WorkerProcess
    server: Prometheus
    redis: LocalRedis
    seen: dict[str, dict[str, Any]] = field(default_factory=dict)  # alerts that fired, by name

    def wait_for(self, condition: Callable[[], object], what: object) -> None:
        """Return once the condition holds. Raises AssertionError, with `what`, if it never does."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, what
            time.sleep(0.25)

    def await_judged(self, moments: int = 1) -> None:
        """Return once so many Moments have p-values."""
        counted = "sum(mmworker_p_value_count)"
        self.wait_for(
            lambda: any(value >= moments for value in self.server.values(counted)),
            "too little is judged",
        )

    def await_firing(self, *names: str) -> None:
        """Return once all of these alerts fire at a time."""

        def fire() -> bool:
            firing = self.server.firing()
            self.seen.update({name: firing[name] for name in names if name in firing})
            return firing.keys() >= set(names)

        self.wait_for(fire, f"{names} do not all fire")

    def await_clear(self, *names: str) -> None:
        """Return once none of these alerts fires."""
        self.wait_for(
            lambda: not self.server.firing().keys() & set(names), f"{names} do not all clear"
        )


@contextmanager
def watch(kafka: LocalKafka, directory: Path, speed: int = SPEED) -> Iterator[Watched]:
    """Run a worker that is ready, on topics of its own, and a Prometheus; `directory` is theirs."""
    with ExitStack() as stack:
        redis = stack.enter_context(local_redis())
        site = Site(kafka, directory, {**SETTINGS, "redis.url": redis.url}, partitions=2)
        server = stack.enter_context(prometheus(site.target, directory, rules_text(Pace(speed))))
        worker = stack.enter_context(running(site))
        yield Watched(site, worker, server, redis)
