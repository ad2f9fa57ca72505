"""`mmworker run` as a process, on a real Kafka and Redis that hold the backlog already."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
from kafka import KafkaConsumer
from kafka import TopicPartition as ClientPartition

from tests.benchmarks.backlog import Backlog
from tests.benchmarks.measure import Middle, Run, Stopwatch, counted, cpu_seconds_of, peak_bytes_of
from tests.benchmarks.process import WorkerProcess
from worker.adapters.kafka.admin import KafkaAdmin
from worker.adapters.kafka.connect import CONNECT_SECONDS, connect
from worker.adapters.kafka.sink import KafkaSink
from worker.adapters.kafka.topic_checks import specs
from worker.config import Config
from worker.core.rfc3339 import MICROSECONDS
from worker.demo.processes import free_ports
from worker.demo.services import LocalKafka, LocalRedis, local_kafka, local_redis
from worker.errors import FailedRunError

_DRAIN_SECONDS = 900.0
_REPORTED_SECONDS = 1.5  # within which a worker's metrics show what it has done
_SETTLE_SECONDS = 35.0  # after which a worker counts as idle: it slows down after half a minute


@dataclass(frozen=True, slots=True)
class WorkerRun:
    """A run, and what was seen of the process. `broker_cpu_seconds`: Kafka's in that time."""

    run: Run
    ready_seconds: float  # from the start of the process; the plans are known
    ready_cpu_seconds: float
    peak_bytes: int
    broker_cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Stage:
    """Kafka with the backlog in its topics, and Redis; None: there is none where one should be."""

    config: Config
    kafka: LocalKafka
    redis: LocalRedis | None
    directory: Path
    partitions: int

    def run(self, name: str, bare: Run, *, cold: bool) -> WorkerRun:
        """Let a new group do what `bare` did; `cold` empties the cache before."""
        if cold:
            self.empty_cache()
        config = apart(self.config, name)
        create(config, self.partitions)
        with observations(config) as reader, self._worker(config, name) as worker:
            middle = Middle(bare.moments, lambda: cpu_seconds_of(worker.pid))
            broker = Middle(bare.moments, lambda: cpu_seconds_of(self.kafka.pid))
            await_moments(reader, bare.moments, middle, broker)
            time.sleep(_REPORTED_SECONDS)
            run = counted(worker.metrics(), bare, *middle.read())
            return WorkerRun(
                run=run,
                ready_seconds=worker.ready_seconds,
                ready_cpu_seconds=worker.ready_cpu_seconds,
                peak_bytes=peak_bytes_of(worker.pid),
                broker_cpu_seconds=broker.read()[1],
            )

    def empty_cache(self) -> None:
        """Let Redis, where there is one, know nothing."""
        if self.redis is not None:
            redis.Redis.from_url(self.redis.url).flushall()

    def idle_share(self, seconds: float) -> float:
        """Return the share of a core that a worker takes whose topics are empty."""
        with self._worker(apart(self.config, "idle", inputs=True), "idle") as worker:
            time.sleep(_SETTLE_SECONDS)
            watch = Stopwatch(lambda: cpu_seconds_of(worker.pid))
            time.sleep(seconds)
            wall, cpu = watch.read()
            return cpu / wall

    def _worker(self, config: Config, group: str) -> WorkerProcess:
        return WorkerProcess(with_process(config, group), self.directory, group)


@contextmanager
def stage(
    config: Config, backlog: Backlog, partitions: int, directory: Path, *, has_redis: bool = True
) -> Iterator[Stage]:
    """Start Kafka and Redis and append the backlog. Without Redis nobody answers at its address."""
    with ExitStack() as opened:
        kafka = opened.enter_context(local_kafka())
        cache = opened.enter_context(local_redis()) if has_redis else None
        url = f"redis://127.0.0.1:{free_ports(1)[0]}/0" if cache is None else cache.url
        reached = config.model_copy(
            update={
                "kafka": config.kafka.model_copy(update={"bootstrap_servers": kafka.bootstrap}),
                "redis": config.redis.model_copy(update={"url": url}),
            }
        )
        for each in (reached, apart(reached, "idle", inputs=True)):
            create(each, partitions)
        fill(reached, backlog)
        yield Stage(reached, kafka, cache, directory, partitions)


def create(config: Config, partitions: int) -> None:
    """Create the topics that are not there yet."""
    with KafkaAdmin(config.kafka) as admin:
        admin.create(specs(config.topics, partitions, config.limits.max_record_bytes, 1))


def apart(config: Config, name: str, *, inputs: bool = False) -> Config:
    """Return the configuration with outputs of their own, as each group needs them.

    With `inputs` these are its own too, so that nothing is in any topic.
    """
    kept = () if inputs else ("frames", "captions", "audio", "feedback")
    names = {
        topic: f"{name}-{known}"
        for topic, known in config.topics.model_dump().items()
        if topic not in kept
    }
    return config.model_copy(update={"topics": config.topics.model_copy(update=names)})


def with_process(config: Config, group: str) -> Config:
    """Return the configuration of a worker process of this group."""
    (port,) = free_ports(1)
    return config.model_copy(
        update={
            "kafka": config.kafka.model_copy(update={"group_id": f"bench-{group}"}),
            "http": config.http.model_copy(update={"host": "127.0.0.1", "port": port}),
        }
    )


def fill(config: Config, backlog: Backlog) -> None:
    """Append the records, second by second: the append times of topics are to agree as live."""
    sink = KafkaSink(config.kafka, max_record_bytes=config.limits.max_record_bytes)
    reached = 0
    try:
        for time_, output in zip(backlog.times, backlog.outputs, strict=True):
            if time_ // MICROSECONDS > reached:
                reached = time_ // MICROSECONDS
                sink.flush()
            sink.append(output)
        sink.flush()
    finally:
        sink.close()


@contextmanager
def observations(config: Config) -> Iterator[KafkaConsumer]:
    """Yield a reader of what is committed to the topic of observations from now on."""
    topic = config.topics.observations
    consumer = connect(
        KafkaConsumer,
        config.kafka,
        CONNECT_SECONDS,
        isolation_level="read_committed",
        enable_auto_commit=False,
        metrics_enabled=False,
    )
    try:
        partitions = [ClientPartition(topic, i) for i in consumer.partitions_for_topic(topic)]
        consumer.assign(partitions)
        consumer.seek_to_end(*partitions)
        for each in partitions:
            consumer.position(each)
        yield consumer
    finally:
        consumer.close(autocommit=False)


def await_moments(reader: KafkaConsumer, moments: int, *timed: Middle) -> None:
    """Return when so many observations can be read. Raises FailedRunError."""
    deadline, seen = time.monotonic() + _DRAIN_SECONDS, 0
    while seen < moments:
        seen += sum(map(len, reader.poll(timeout_ms=100).values()))
        for each in timed:
            each.see(seen)
        if time.monotonic() > deadline:
            raise FailedRunError(f"only {seen} of {moments} Moments in {_DRAIN_SECONDS:.0f} s")
