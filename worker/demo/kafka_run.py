"""The demo on real services: Kafka, Redis where there is one, and the worker as a process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

from worker.adapters.kafka.admin import KafkaAdmin
from worker.adapters.kafka.reading import read_topics
from worker.adapters.kafka.sink import KafkaSink
from worker.adapters.kafka.topic_checks import specs
from worker.config import Config
from worker.demo.processes import free_ports
from worker.demo.results import Played
from worker.demo.services import local_kafka, local_redis, redis_available
from worker.demo.tally import Tally, read_tally
from worker.errors import FailedRunError
from worker.feed.events import FeedEvent, to_output
from worker.feed.pace import paced
from worker.runtime.topics import output_topics, topic_of_modality

START_SECONDS = 120.0  # the first start on a machine measures the encoders
DRAIN_SECONDS = 180.0
STOP_SECONDS = 60.0

Say = Callable[[str], None]
Progress = Callable[[int], None]


@contextmanager
def services(config: Config, directory: Path, partitions: int, say: Say) -> Iterator[Config]:
    """Start Kafka and, where possible, Redis; yields the configuration that reaches them."""
    with ExitStack() as stack:
        began = time.monotonic()
        kafka = stack.enter_context(local_kafka())
        say(f"Apache Kafka is up at {kafka.bootstrap} ({time.monotonic() - began:.1f} s)")
        url = ""
        available, why = redis_available()
        if available:
            url = stack.enter_context(local_redis()).url
            say(f"Redis is up at {url}")
        else:
            say(f"No cache: {why}")
        (port,) = free_ports(1)
        reached = _with(config, kafka.bootstrap, url, port)
        with KafkaAdmin(reached.kafka) as admin:
            largest = reached.limits.max_record_bytes
            admin.create(specs(reached.topics, partitions, largest, replication_factor=1))
        _write_config(reached, directory / "mmworker.yaml")
        yield reached


@contextmanager
def worker_process(config: Config, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `mmworker run` with the directory's mmworker.yaml; yields it when it is ready."""
    command = [sys.executable, "-m", "worker", "run", "--config", str(directory / "mmworker.yaml")]
    with (directory / "worker.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _await_ready(config, process, directory / "worker.log")
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def play(
    config: Config,
    directory: Path,
    events: Iterator[FeedEvent],
    speed: float | None,
    progress: Progress,
    say: Say,
) -> Played:
    """Run a worker, feed it at `speed` times real time, and stop it when all is decided.

    Raises FailedRunError where the worker does not start, keep up or stop.
    """
    with worker_process(config, directory) as process:
        say("The worker is ready")
        began = time.monotonic()
        sent = _feed(config, events, speed, progress)
        say(f"{sent} events sent; waiting for the last Moments (a silent source closes them)")
        _await_drained(config, process, sent)
        seconds_taken = time.monotonic() - began
        exposition = _metrics(config)
        _stop(process, directory / "worker.log")
    records = read_topics(config.kafka, output_topics(config))
    return Played(records, exposition, seconds_taken)


def _with(config: Config, bootstrap: str, redis_url: str, port: int) -> Config:
    return config.model_copy(
        update={
            "kafka": config.kafka.model_copy(update={"bootstrap_servers": bootstrap}),
            "redis": config.redis.model_copy(update={"url": redis_url}),
            "http": config.http.model_copy(update={"host": "127.0.0.1", "port": port}),
        }
    )


def _write_config(config: Config, path: Path) -> None:
    values = config.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def _feed(
    config: Config, events: Iterator[FeedEvent], speed: float | None, progress: Progress
) -> int:
    sink = KafkaSink(config.kafka, max_record_bytes=config.limits.max_record_bytes)
    topics, sent = topic_of_modality(config), 0
    try:
        for event in paced(events, speed, time.monotonic, time.sleep):
            sink.append(to_output(event, topics))
            sent += 1
            progress(event.time)
        sink.flush()
    finally:
        sink.close()
    return sent


def _await_ready(config: Config, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise FailedRunError(f"The worker ended at once: {_tail(log)}")
        if _get(config, "/readyz") is not None:
            return
        time.sleep(0.2)
    raise FailedRunError(f"The worker was not ready in {START_SECONDS:.0f} s: {_tail(log)}")


def _await_drained(config: Config, process: subprocess.Popen[bytes], sent: int) -> None:
    """Wait until every record has been read and is in no buffer any more."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise FailedRunError("The worker ended before all was decided; see worker.log.")
        tally = _tally(config)
        if tally is not None and tally.consumed >= sent and tally.buffered == 0:
            return
        time.sleep(0.5)
    raise FailedRunError(f"Not all was decided within {DRAIN_SECONDS:.0f} s; see worker.log.")


def _stop(process: subprocess.Popen[bytes], log: Path) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        code = process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        raise FailedRunError("The worker did not stop in time; see worker.log.") from None
    if code != 0:
        raise FailedRunError(f"The worker ended with {code}: {_tail(log)}")


def _tally(config: Config) -> Tally | None:
    body = _get(config, "/metrics")
    return None if body is None else read_tally(body)


def _metrics(config: Config) -> str:
    body = _get(config, "/metrics")
    if body is None:
        raise FailedRunError("The worker does not answer at /metrics any more.")
    return body


def _get(config: Config, path: str) -> str | None:
    try:
        url = f"http://{config.http.host}:{config.http.port}{path}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            body: bytes = answer.read()
            return body.decode()
    except OSError:  # that of urllib is one
        return None


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else f"nothing in {log}"
