"""What is done to the workers, the broker and Redis. Each fault returns when it is over."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from functools import partial

import redis

from tests.chaos.crew import WorkerHandle
from tests.chaos.driver import SESSION_SECONDS, Chaos
from tests.chaos.worker_process import STEPS
from worker.adapters.redis_cache import KEY_PREFIX
from worker.errors import FailedRunError

REACH_SECONDS = 120.0  # for a worker to come to the step of a commit at which it dies
_DURING = 0.008  # seconds; what a commit takes

Fault = Callable[[Chaos], None]


def kill_at_random(run: Chaos) -> None:
    """kill -9 a worker at any moment."""
    run.pause(run.random.uniform(0, 2))
    run.random.choice(run.crew.members).kill()
    run.crew.tend()


def kill_at_step(step: str, run: Chaos) -> None:
    """Let a worker die at a step of one of its next commits."""
    victim = run.random.choice(run.crew.members)
    victim.plan.arm(step, run.random.randint(1, 3), run.random.uniform(0, _DURING))
    if not run.wait_for(lambda: not victim.is_alive, REACH_SECONDS):
        raise FailedRunError(f"no commit of worker {victim.pid} in {REACH_SECONDS:.0f} s")


def halt(run: Chaos) -> None:
    """SIGSTOP a worker past its session timeout: the group goes on without it. Then SIGCONT."""
    victim = run.random.choice(run.crew.members)
    victim.signal(signal.SIGSTOP)
    run.pause(SESSION_SECONDS + run.random.uniform(2, 4))
    victim.signal(signal.SIGCONT)


def restart_broker(run: Chaos) -> None:
    """kill -9 the broker and start it again on the same data."""
    run.kafka.kill()
    run.pause(run.random.uniform(0.5, 2))
    run.kafka.restart()


def come_and_go(run: Chaos) -> None:
    """Let a member join every two seconds, and leave at the next."""
    guest: WorkerHandle | None = None
    for _ in range(5):
        if guest is not None and guest in run.crew.members:
            run.crew.leave(guest)
        guest = run.crew.start()
        run.pause(2)
    if guest is not None and guest in run.crew.members:
        run.crew.leave(guest)


def redis_down(run: Chaos) -> None:
    """Kill Redis and start it again, empty."""
    run.redis.kill()
    run.pause(3)
    run.redis.restart()


def redis_slow(run: Chaos) -> None:
    """Let Redis accept connections and answer nothing for a while."""
    os.kill(run.redis.pid, signal.SIGSTOP)
    run.pause(4)
    os.kill(run.redis.pid, signal.SIGCONT)


def redis_wrong(run: Chaos) -> None:
    """Put under the cache's keys what is no embedding: too short, not of length one, a list."""
    with redis.Redis.from_url(run.redis.url) as client:
        if not run.wait_for(lambda: client.dbsize() > 0, REACH_SECONDS):
            raise FailedRunError("no worker puts anything into Redis")
        for number, key in enumerate(client.scan_iter(KEY_PREFIX + b"*")):
            if number % 3 == 2:
                client.delete(key)
                client.rpush(key, b"a list")
            else:
                client.set(key, (b"short", bytes(128))[number % 3])
    run.pause(2)


def redis_flushed(run: Chaos) -> None:
    """Empty Redis."""
    with redis.Redis.from_url(run.redis.url) as client:
        client.flushall()
    run.pause(1)


KILLS: Mapping[str, Fault] = {
    "kill": kill_at_random,
    **{step: partial(kill_at_step, step) for step in STEPS},
}
OTHERS: Mapping[str, Fault] = {
    "halt": halt,
    "broker": restart_broker,
    "join-leave": come_and_go,
    "redis-down": redis_down,
    "redis-slow": redis_slow,
    "redis-wrong": redis_wrong,
    "redis-flushed": redis_flushed,
}
FAULTS = {**KILLS, **OTHERS}


def apply(run: Chaos, name: str) -> None:
    """Do one fault and wait until all partitions go on."""
    FAULTS[name](run)
    run.recover(name)
