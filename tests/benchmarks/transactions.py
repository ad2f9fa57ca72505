"""What transactions cost at full load: the same worker with them and without, in turns."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import redis

from tests.benchmarks.measure import Stopwatch
from tests.benchmarks.on_kafka import Stage, apart, create, with_process
from tests.benchmarks.plain import PlainInputLog, PlainOutbox
from tests.benchmarks.session import session
from worker.adapters.kafka.state_log import KafkaStateLog
from worker.adapters.kafka.topic_checks import inputs
from worker.adapters.prometheus import Metrics
from worker.adapters.redis_cache import RedisCache
from worker.cli.service import open_ports
from worker.config import Config
from worker.pipeline import Pipeline
from worker.runtime.assemble import decode_threads, worker_rules
from worker.runtime.clock import steady_clock
from worker.runtime.inference import Inference
from worker.runtime.worker import Ports

Mode = Literal["transactions", "plain"]
MODES: Sequence[Mode] = ("transactions", "plain")


@dataclass(frozen=True, slots=True)
class Load:
    """One pass over the backlog. CPU seconds are those of the worker's process."""

    mode: Mode
    warm: bool
    moments: int
    commits: int
    wall_seconds: float
    cpu_seconds: float

    @property
    def moments_per_second(self) -> float:
        """The rate on the wall clock."""
        return self.moments / self.wall_seconds


@dataclass(frozen=True, slots=True)
class Pair:
    """The two modes, one right after the other."""

    transactions: Load
    plain: Load

    @property
    def overhead(self) -> float:
        """The share of throughput that transactions cost; below 0 where they were faster."""
        return 1 - self.transactions.moments_per_second / self.plain.moments_per_second

    @property
    def cpu_overhead(self) -> float:
        """The share by which a Moment takes more CPU time, whoever else uses the machine."""
        return self.transactions.cpu_seconds / self.plain.cpu_seconds - 1


class Contest:
    """Runs pairs on a stage that holds a backlog of at least `moments` Moments."""

    def __init__(self, stage: Stage, pipeline: Pipeline, moments: int) -> None:
        self._stage = stage
        self._pipeline = pipeline
        self._moments = moments
        self._runs = 0

    def warm_up(self) -> None:
        """Let code and caches become warm."""
        self._run("plain", warm=False)

    def pair(self, number: int, *, warm: bool) -> Pair:
        """Run both; which one comes first changes from pair to pair.

        With `warm` all embeddings are in the cache, so that commits weigh more.
        """
        order = MODES if number % 2 == 0 else MODES[::-1]
        loads = {mode: self._run(mode, warm=warm) for mode in order}
        return Pair(loads["transactions"], loads["plain"])

    def _run(self, mode: Mode, *, warm: bool) -> Load:
        if not warm:
            with redis.Redis.from_url(self._stage.config.redis.url) as client:
                client.flushall()
        self._runs += 1
        name = f"{mode}-{self._runs}"
        config = with_process(apart(self._stage.config, name), name)
        create(config, self._stage.partitions)
        metrics = Metrics(inputs(config.topics))
        cache = RedisCache.connect(config.redis, metrics)
        inference = Inference(self._pipeline, cache, metrics, decode_threads(config))
        rules = worker_rules(config, self._pipeline, self._stage.partitions, {})
        ports = (
            open_ports(config, metrics, inputs(config.topics))
            if mode == "transactions"
            else _plain(config, metrics)
        )
        with session(ports, inference, rules) as running:
            running.join()
            watch = Stopwatch()
            running.judge(self._moments)
            wall, cpu = watch.read()
            done = running.outbox
            return Load(mode, warm, done.observations, done.commits, wall, cpu)


def _plain(config: Config, metrics: Metrics) -> Ports:
    log = PlainInputLog(config.kafka, inputs(config.topics))
    return Ports(
        log=log,
        state=KafkaStateLog(config.kafka),
        outbox=PlainOutbox(config.kafka, log.commit),
        telemetry=metrics,
        now=steady_clock(),
        background=ThreadPoolExecutor(1),
    )
