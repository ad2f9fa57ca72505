"""The whole worker over the in-memory log, in one process and in virtual time.

Append time is event time: what is played is treated as if it had arrived just when it happened,
however fast this machine gets through it. So no effort is spared, whatever `models.overload` says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace

from worker.adapters.memory_log import MemoryLog
from worker.adapters.memory_ports import MemoryInputLog, MemoryOutbox, MemorySink, MemoryStateLog
from worker.adapters.prometheus import Metrics
from worker.config import Config
from worker.core.events import Modality
from worker.core.ports import EmbeddingCache, Telemetry
from worker.core.rfc3339 import seconds
from worker.demo.results import Played
from worker.feed.events import FeedEvent, to_output
from worker.models.base import Encoder
from worker.runtime.assemble import (
    build_pipeline,
    decode_threads,
    worker_rules,
)
from worker.runtime.inference import Inference
from worker.runtime.topics import output_topics, topic_of_modality
from worker.runtime.worker import Ports, Worker

CHUNK = seconds(0.5)  # of event time between two steps of the worker
FINISH_SECONDS = 600.0
AFTER_IDLE = seconds(2)  # beyond the idle timeout, so that every source is silent


@dataclass(slots=True)
class VirtualClock:
    """A clock that is moved by hand; microseconds since the epoch."""

    now: int = 0

    def __call__(self) -> int:
        """Return the present."""
        return self.now


def play(
    config: Config,
    encoders: Mapping[Modality, Encoder],
    events: Iterable[FeedEvent],
    *,
    cache: EmbeddingCache | None = None,
    partitions: int = 1,
    progress: Callable[[int], None] = lambda _: None,
) -> Played:
    """Run the events through a worker until all of them have been decided.

    `progress` is told the event time reached, in microseconds. Raises what the worker raises.
    """
    clock, began = VirtualClock(), time.monotonic()
    inputs, outputs = topic_of_modality(config), output_topics(config)
    metrics = Metrics(tuple(inputs.values()))
    log = memory_log(config, partitions, clock)
    pipeline = build_pipeline(config, encoders)
    inference = Inference(pipeline, cache, metrics, decode_threads(config))
    background = ThreadPoolExecutor(1)
    worker = Worker(
        memory_ports(config, log, metrics, clock, background),
        inference,
        replace(worker_rules(config, pipeline, partitions, {}), long_wait=None),  # nobody waits
    )
    try:
        for reached in _fed(worker, MemorySink(log), clock, events, inputs):
            log.forget(config.kafka.group_id)  # long recordings do not fit into memory
            progress(reached)
        _come_to_rest(worker)  # reads the rest: silence is counted from when that was heard
        clock.now += seconds(config.pairing.idle_timeout_seconds) + AFTER_IDLE
        _come_to_rest(worker)
        worker.finish(FINISH_SECONDS)
    finally:
        inference.close()
        background.shutdown()
    records = {topic: log.read_all(topic) for topic in outputs}
    exposition = metrics.render("")[0].decode()
    return Played(records, exposition, time.monotonic() - began)


def memory_log(config: Config, partitions: int, clock: Callable[[], int]) -> MemoryLog:
    """Return an empty log with all topics of a worker; `clock` in microseconds."""
    snapshots, feedback = config.topics.snapshots, config.topics.feedback
    names = (*topic_of_modality(config).values(), feedback, *output_topics(config), snapshots)
    return MemoryLog(dict.fromkeys(names, partitions), clock, {snapshots})


def memory_ports(
    config: Config,
    log: MemoryLog,
    telemetry: Telemetry,
    now: Callable[[], int],
    background: Executor,
    *,
    wait: bool = False,
) -> Ports:
    """Return the borders of a worker over `log`; `wait` lets a poll wait for records."""
    group, inputs = config.kafka.group_id, tuple(topic_of_modality(config).values())
    return Ports(
        log=MemoryInputLog(log, group, inputs, wait=wait),
        state=MemoryStateLog(log, group),
        outbox=MemoryOutbox(log, group),
        telemetry=telemetry,
        now=now,
        background=background,
    )


def _come_to_rest(worker: Worker) -> None:
    while worker.step():
        pass


def _fed(
    worker: Worker,
    sink: MemorySink,
    clock: VirtualClock,
    events: Iterable[FeedEvent],
    topics: Mapping[Modality, str],
) -> Iterator[int]:
    """Append the events in time order; step the worker, and wait for it where it falls behind.

    Yields the event time reached, after each step.
    """
    stepped = 0
    for event in events:
        if event.time - stepped >= CHUNK:
            stepped = event.time
            worker.step()
            while worker.is_full:
                worker.step()
            yield event.time
        clock.now = max(clock.now, event.time)
        sink.append(to_output(event, topics))
    sink.flush()
