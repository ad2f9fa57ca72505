"""The topics, the configuration and the worker processes of one test, on a real broker."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from kafka import KafkaConsumer
from kafka import TopicPartition as ClientPartition

from worker.adapters.kafka.admin import KafkaAdmin
from worker.adapters.kafka.reading import read_topics
from worker.adapters.kafka.sink import KafkaSink
from worker.adapters.kafka.topic_checks import specs
from worker.config import Config, KafkaSettings, TopicSettings, load
from worker.core.events import Record
from worker.core.messages import Observation, read_observation
from worker.core.ports import Output, TopicPartition
from worker.demo.processes import free_ports
from worker.demo.services import LocalKafka
from worker.demo.tally import Tally, read_tally
from worker.feed.events import FeedEvent, to_output
from worker.runtime.topics import topic_of_modality

MIB = 1024 * 1024
START_SECONDS = 120.0  # the first start on a machine measures the encoders
SETTLE_SECONDS = 60.0
STOP_SECONDS = 60.0
COMMAND = (sys.executable, "-m", "worker")


class Site:
    """Fresh topics and a fresh group; `directory` holds the worker's configuration and its log.

    The worker may reach the broker in another way than the site itself, if `settings` say so.
    """

    def __init__(
        self,
        kafka: LocalKafka,
        directory: Path,
        settings: Mapping[str, object] | None = None,
        *,
        partitions: int = 1,
        largest: int = 8 * MIB,
    ) -> None:
        self.config = _config(kafka.bootstrap, settings or {})
        self.directory = directory
        self._largest = largest
        self._access = KafkaSettings(
            bootstrap_servers=kafka.bootstrap, group_id=self.config.kafka.group_id
        )
        with KafkaAdmin(self._access) as admin:
            admin.create(specs(self.config.topics, partitions, largest, replication_factor=1))
        write_config(self.config, directory / "mmworker.yaml")

    def beside(self, directory: Path) -> Site:
        """Return the same topics and group for one more worker, at a port of its own."""
        (port,) = free_ports(1)
        other = copy.copy(self)
        other.directory = directory
        http = self.config.http.model_copy(update={"port": port})
        other.config = self.config.model_copy(update={"http": http})
        write_config(other.config, directory / "mmworker.yaml")
        return other

    @property
    def inputs(self) -> dict[str, str]:
        """The input topics by modality."""
        return {str(name): topic for name, topic in topic_of_modality(self.config).items()}

    @property
    def target(self) -> str:
        """Where the worker answers, host:port."""
        return f"{self.config.http.host}:{self.config.http.port}"

    def outputs_of(self, events: Iterable[FeedEvent]) -> list[Output]:
        """Return the records of events."""
        topics = topic_of_modality(self.config)
        return [to_output(event, topics) for event in events]

    def send(self, parts: Iterable[Sequence[Output]], pause: float = 0) -> int:
        """Append part after part; what is in one part is in the log before the next one begins."""
        sent = 0
        sink = KafkaSink(self._access, max_record_bytes=self._largest)
        try:
            for part in parts:
                for output in part:
                    sink.append(output)
                sink.flush()
                sent += len(part)
                time.sleep(pause)
        finally:
            sink.close()
        return sent

    def read(self, topic: str) -> list[Record]:
        """Return what is committed in a topic now."""
        return read_topics(self._access, [topic])[topic]

    def observations(self) -> list[Observation]:
        """Return the Observations."""
        records = self.read(self.config.topics.observations)
        return [read_observation(record.value or b"") for record in records]

    def ends(self) -> dict[TopicPartition, int]:
        """Return the offsets at which the input partitions end."""
        return self._asked(lambda consumer, each: consumer.end_offsets([each])[each])

    def committed(self) -> dict[TopicPartition, int]:
        """Return the offsets that the group has committed; 0 where there is none."""
        return self._asked(lambda consumer, each: consumer.committed(each) or 0)

    def _asked(self, question: Callable[[Any, Any], int]) -> dict[TopicPartition, int]:
        consumer = KafkaConsumer(
            bootstrap_servers=self._access.bootstrap_servers,
            group_id=self._access.group_id,
            enable_auto_commit=False,
            isolation_level="read_committed",
        )
        try:
            partitions = [
                ClientPartition(topic, index)
                for topic in self.inputs.values()
                for index in consumer.partitions_for_topic(topic) or ()
            ]
            return {TopicPartition(*each): question(consumer, each) for each in partitions}
        finally:
            consumer.close()


class WorkerProcess:
    """`mmworker run`, or a `program` that runs it in its own way, as a process of its own."""

    def __init__(self, site: Site, program: Sequence[str] = ("worker", "run")) -> None:
        self._site = site
        self._log_file = site.directory / "worker.log"
        configuration = ("--config", str(site.directory / "mmworker.yaml"))
        command = [sys.executable, "-m", *program, *configuration]
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def await_ready(self) -> None:
        """Return once it has joined the group."""
        self.wait_for(lambda: self.get("/readyz") is not None, START_SECONDS)

    def await_settled(self, records: int) -> Tally:
        """Return the counts once so many records were read and all of them have ended somewhere."""
        self.wait_for(lambda: _is_settled(self.tally(), records), SETTLE_SECONDS)
        return self.tally()

    def wait_for(self, condition: Callable[[], bool], seconds: float = SETTLE_SECONDS) -> None:
        """Wait while the process runs; its log is told where the condition does not come about."""
        deadline = time.monotonic() + seconds
        while not condition():
            running = self._process.poll() is None
            if not running or time.monotonic() > deadline:
                log = self.log[-3000:]
                tally = self.tally() if running else None
                raise AssertionError(f"running: {running}, {tally}, log:\n{log}")
            time.sleep(0.1)

    def tally(self) -> Tally:
        """Return what it has counted."""
        return read_tally(self.metrics())

    def metrics(self) -> str:
        """Return the text of /metrics."""
        return self.get("/metrics") or ""

    def get(self, path: str) -> str | None:
        """Return what it answers, or None where that is not 200."""
        try:
            with urllib.request.urlopen(f"http://{self._site.target}{path}", timeout=5) as reply:
                body: bytes = reply.read()
                return body.decode()
        except OSError:
            return None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self._log_file.read_text(errors="replace")

    def terminate(self) -> int:
        """Send SIGTERM and return the exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(STOP_SECONDS)

    def await_end(self) -> int:
        """Return the exit code once it has ended by itself."""
        return self._process.wait(START_SECONDS)

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self._process.wait()


@contextmanager
def running(site: Site) -> Iterator[WorkerProcess]:
    """Run a worker that is ready; it is gone at the end, however it ends."""
    process = WorkerProcess(site)
    try:
        process.await_ready()
        yield process
    finally:
        process.kill()


def write_config(config: Config, path: Path) -> None:
    """Write what is not default as a file for `--config`."""
    values = config.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    path.write_text(yaml.safe_dump(values), encoding="utf-8")


def total(exposition: str, series: str) -> float:
    """Return the sum of the series whose name and labels begin so."""
    lines = (line for line in exposition.splitlines() if line.startswith(series))
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def mmworker(
    *arguments: object, environment: Mapping[str, str] | None = None, seconds: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=seconds,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
    )


def _config(bootstrap: str, settings: Mapping[str, object]) -> Config:
    run = uuid.uuid4().hex[:8]
    (port,) = free_ports(1)
    topics = {name: name.replace("_", "-") for name in TopicSettings.model_fields}
    values: dict[str, object] = {
        "kafka.bootstrap_servers": bootstrap,
        "kafka.group_id": f"group-{run}",
        **{f"topics.{name}": f"{topic}-{run}" for name, topic in topics.items()},
        "pairing.idle_timeout_seconds": 2,
        "scoring.calibration_moments": 20,
        "models.overload": "off",  # results are compared, and the machine may be busy
        "http.host": "127.0.0.1",
        "http.port": port,
        **settings,
    }
    return load(None, {}, values).config


def _is_settled(tally: Tally, records: int) -> bool:
    return tally.consumed >= records and not tally.buffered and tally.reconciles
