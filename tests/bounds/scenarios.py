"""What is done to a worker that has a backlog to work off. Each returns when it is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bounds.network import Proxy
from tests.bounds.watched import Watched

REDIS_DELAY = 5.0  # seconds, of each answer
_FIRST_SECONDS = 120.0


@dataclass(frozen=True)
class Surroundings:
    """What a worker hangs on. While `slow` is a file its decoder takes 2 s per frame."""

    outputs: Proxy
    cache: Proxy
    slow: Path


@dataclass(frozen=True)
class Scenario:
    """`before` the worker starts, and `during` its work for so many seconds."""

    before: Callable[[Surroundings], None]
    during: Callable[[Surroundings, Watched, float], None]


def _nothing(around: Surroundings) -> None:
    """Leave all as it is."""


def _watch(around: Surroundings, worker: Watched, seconds: float) -> None:
    """Leave the worker alone."""


def _slow_redis(around: Surroundings) -> None:
    around.cache.delay = REDIS_DELAY


def _slow_decoder(around: Surroundings) -> None:
    around.slow.touch()


def _quick_again(around: Surroundings, worker: Watched, seconds: float) -> None:
    time.sleep(seconds)
    around.slow.unlink()


def _blocked(around: Surroundings, worker: Watched, seconds: float) -> None:
    """Let nothing pass between the producer and its broker, once commits have begun."""
    worker.wait_for(lambda tally: tally.outcomes["paired"] > 0, _FIRST_SECONDS, "the first Moment")
    with blocked(around.outputs):
        time.sleep(seconds)


@contextmanager
def blocked(link: Proxy) -> Iterator[None]:
    """Pass nothing on."""
    link.open.clear()
    try:
        yield
    finally:
        link.open.set()


def _all(around: Surroundings) -> None:
    _slow_redis(around)
    _slow_decoder(around)


def _one_after_the_other(around: Surroundings, worker: Watched, seconds: float) -> None:
    _quick_again(around, worker, seconds)
    _blocked(around, worker, seconds)


SCENARIOS: Mapping[str, Scenario] = {
    "backlog only": Scenario(_nothing, _watch),
    "output broker blocked": Scenario(_nothing, _blocked),
    "Redis answers after 5 s": Scenario(_slow_redis, _watch),
    "decoder takes 2 s per frame": Scenario(_slow_decoder, _quick_again),
    "all of these": Scenario(_all, _one_after_the_other),
}
