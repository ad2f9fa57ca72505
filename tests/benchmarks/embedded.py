"""The whole worker over the in-memory log, whose backlog is there before the clock starts."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.benchmarks.backlog import Backlog, appended
from tests.benchmarks.measure import Run, Stopwatch
from worker.adapters.memory_log import MemoryInputLog, MemoryLog, MemoryOutbox
from worker.adapters.prometheus import Metrics
from worker.config import Config
from worker.core.events import Modality
from worker.demo.tally import read_tally
from worker.errors import FailedRunError
from worker.pipeline import Pipeline
from worker.runtime.assemble import decode_threads, shard_factory, topic_of_modality
from worker.runtime.inference import Inference
from worker.runtime.worker import Ports, Worker

_FINISH_SECONDS = 60.0


def run(config: Config, pipeline: Pipeline, backlog: Backlog, partitions: int) -> Run:
    """Go through the backlog once, to the last commit. Raises FailedRunError."""
    log, clock = appended(config, backlog, partitions)
    metrics = Metrics(tuple(topic_of_modality(config).values()))
    inference = Inference(pipeline, None, metrics, decode_threads(config))
    worker = Worker(
        _ports(config, log, metrics, _running(clock.now)),
        inference,
        shard_factory(config, pipeline, partitions),
        config.pairing.max_buffered_bytes,
    )
    watch = Stopwatch()
    try:
        while worker.step():
            pass
        worker.finish(_FINISH_SECONDS)
    finally:
        inference.close()
    wall, cpu = watch.read()
    tally = read_tally(metrics.render("")[0].decode())
    if not tally.reconciles or tally.outcomes["paired"] < len(backlog.outputs):
        raise FailedRunError(f"not every record became part of a Moment: {tally}")
    return Run(
        moments=len(log.read_all(config.topics.observations)),
        frames=backlog.frames,
        frames_encoded=tally.encoded[Modality.FRAME],
        wall_seconds=wall,
        cpu_seconds=cpu,
        stage_seconds=tally.stage_seconds,
    )


def _ports(config: Config, log: MemoryLog, metrics: Metrics, now: Callable[[], int]) -> Ports:
    inputs = tuple(topic_of_modality(config).values())
    return Ports(
        MemoryInputLog(log, config.kafka.group_id, inputs, wait=True),
        MemoryOutbox(log, config.kafka.group_id),
        metrics,
        now,
    )


def _running(start: int) -> Callable[[], int]:
    """Return a clock that shows `start` now, in microseconds, and goes on from there."""
    began = time.monotonic_ns()
    return lambda: start + (time.monotonic_ns() - began) // 1000
