"""A cache in Redis, with the clock that it goes by and what it has told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from worker.adapters.breaker import FAULTS
from worker.adapters.prometheus import Metrics
from worker.adapters.redis_cache import RedisCache
from worker.config import RedisSettings

TIMEOUT = 0.2  # seconds


class Clock:
    """Real time, plus what a test lets pass."""

    def __init__(self) -> None:
        self.skipped = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.skipped


class Cached:
    """A cache with the clock it goes by and what it told."""

    def __init__(self, settings: RedisSettings, clock: Clock) -> None:
        self.clock = clock
        self.metrics = Metrics(topics=())
        self.cache = RedisCache.connect(settings, self.metrics, self.clock)

    def count(self, result: str) -> float | None:
        return self.metrics.registry.get_sample_value(
            "mmworker_cache_requests_total", {"result": result}
        )

    def degraded(self) -> bool:
        labels = {"component": "redis"}
        return self.metrics.registry.get_sample_value("mmworker_degraded", labels) == 1

    def open_breaker(self) -> None:
        for _ in range(FAULTS):
            assert self.cache.get_many([b"k"]) == [None]


@contextmanager
def cached(url: str, clock: Clock | None = None, **settings: object) -> Iterator[Cached]:
    values = {"url": url, "timeout_seconds": TIMEOUT} | settings
    made = Cached(RedisSettings.model_validate(values), clock or Clock())
    try:
        yield made
    finally:
        made.cache.close()
