"""The whole worker over the in-memory log, whose backlog is there before the clock starts."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.benchmarks.backlog import Backlog, appended
from tests.benchmarks.measure import Middle, Run, counted
from worker.adapters.memory_log import MemoryLog
from worker.adapters.near_cache import NearCache
from worker.adapters.prometheus import Metrics
from worker.config import Config
from worker.core.ports import TopicPartition
from worker.demo.embedded import memory_ports
from worker.pipeline import Pipeline
from worker.runtime.assemble import decode_threads, worker_rules
from worker.runtime.inference import Inference
from worker.runtime.topics import topic_of_modality
from worker.runtime.worker import Worker

_FINISH_SECONDS = 10.0


def run(config: Config, pipeline: Pipeline, backlog: Backlog, partitions: int, bare: Run) -> Run:
    """Go through the backlog until what `bare` did is committed. Raises FailedRunError."""
    log, clock = appended(config, backlog, partitions)
    metrics = Metrics(tuple(topic_of_modality(config).values()))
    cache = NearCache(config.limits.near_cache_bytes, metrics)
    inference = Inference(pipeline, cache, metrics, decode_threads(config))
    background = ThreadPoolExecutor(1)
    worker = Worker(
        memory_ports(config, log, metrics, _running(clock.now), background, wait=True),
        inference,
        worker_rules(config, pipeline, partitions, {}),
    )
    middle, visible = Middle(bare.moments), 0
    try:
        while visible < bare.moments:
            worker.step()
            visible = _observations(config, log)
            middle.see(visible)
        worker.finish(_FINISH_SECONDS)  # reports what was counted since the last second began
    finally:
        inference.close()
        background.shutdown()
    exposition = metrics.render("")[0].decode()
    return counted(exposition, bare, *middle.read())


def _observations(config: Config, log: MemoryLog) -> int:
    topic = config.topics.observations
    return sum(log.end(TopicPartition(topic, index)) for index in range(log.topics[topic]))


def _running(start: int) -> Callable[[], int]:
    """Return a clock that shows `start` now, in microseconds, and goes on from there."""
    began = time.monotonic_ns()
    return lambda: start + (time.monotonic_ns() - began) // 1000
