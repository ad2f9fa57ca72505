"""Real services for the demo and the tests: Apache Kafka and Redis, on loopback, no container.

    with local_kafka() as kafka, local_redis() as redis:
        run(kafka.bootstrap, redis.url)

Start them from a thread that lives as long as they shall: on Linux they die with it.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from worker.demo import kafka_server
from worker.demo.kafka_server import Entrance, Listener
from worker.demo.processes import Process, free_ports, listening
from worker.errors import OperatorError

_KAFKA_READY_SECONDS = 60.0
_REDIS_READY_SECONDS = 10.0


class LocalServer(ABC):
    """A server that this process has started."""

    _process: Process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def stop(self) -> None:
        """End it in an orderly way."""
        self._process.stop()

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()

    def restart(self) -> None:
        """Start it again, after `stop`, `kill`, or while it runs; wait until it serves."""
        self._process.stop()
        self._process = self._start()

    @abstractmethod
    def _start(self) -> Process: ...


class LocalKafka(LocalServer):
    """One node of Apache Kafka. `bootstrap` stays the same over restarts, and so does the data."""

    def __init__(
        self,
        directory: Path,
        listener: Listener,
        properties: Mapping[str, str],
        entrances: Sequence[Entrance] = (),
    ) -> None:
        port, controller = free_ports(2)
        self.bootstrap = f"127.0.0.1:{port}"
        self._directory = directory
        self._properties = kafka_server.write_files(
            directory, port, controller, listener, properties, entrances
        )
        kafka_server.format_storage(self._properties, listener)
        self._process = self._start()

    def _start(self) -> Process:
        log = self._directory / "kafka.log"
        earlier = log.stat().st_size if log.exists() else 0
        process = Process(
            kafka_server.command("kafka.Kafka", str(self._properties)),
            log,
            {"JAVA_TOOL_OPTIONS": f"-Dlog4j2.configurationFile={self._directory}/log4j2.yaml"},
        )

        def started() -> bool:  # its port accepts connections sooner than it serves them
            return kafka_server.STARTED.encode() in log.read_bytes()[earlier:]

        process.wait_until(started, _KAFKA_READY_SECONDS, "Kafka")
        return process


class LocalRedis(LocalServer):
    """One redis-server without persistence: empty after each start, on the same port.

    Where `options` name a certificate it has TLS alone.
    """

    def __init__(self, directory: Path, options: Mapping[str, str]) -> None:
        (self._port,) = free_ports(1)
        self._tls = "tls-cert-file" in options
        self.url = f"{'rediss' if self._tls else 'redis'}://127.0.0.1:{self._port}/0"
        self._directory = directory
        self._options = options
        self._process = self._start()

    def _start(self) -> Process:
        options = {"bind": "127.0.0.1", "dir": str(self._directory), "save": ""}
        options |= {"appendonly": "no", "maxmemory": "64mb", "maxmemory-policy": "allkeys-lru"}
        ports = {"port": "0", "tls-port": str(self._port)}
        options |= ports if self._tls else {"port": str(self._port)}
        options |= self._options
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        process = Process(["redis-server", *words], self._directory / "redis.log")
        ready = listening if self._tls else _answers_ping
        process.wait_until(lambda: ready(self._port), _REDIS_READY_SECONDS, "Redis")
        return process


def kafka_available() -> tuple[bool, str]:
    """Return whether Kafka can be started here, and if not, why."""
    problem = kafka_server.problem()
    return problem is None, problem or ""


def redis_available() -> tuple[bool, str]:
    """Return whether Redis can be started here, and if not, why."""
    if shutil.which("redis-server") is None:
        return False, "there is no `redis-server`: install Redis"
    return True, ""


@contextmanager
def local_kafka(
    listener: Listener | None = None,
    properties: Mapping[str, str] | None = None,
    entrances: Sequence[Entrance] = (),
) -> Iterator[LocalKafka]:
    """Run a broker in a temporary directory. `properties` add to its configuration or replace it.

    Raises OperatorError where it cannot be started here, FailedRunError where it does not come up.
    """
    available, why = kafka_available()
    if not available:
        raise OperatorError(f"Kafka cannot be started here: {why}")
    with _directory("kafka") as directory:
        server = LocalKafka(directory, listener or Listener(), properties or {}, entrances)
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def local_redis(options: Mapping[str, str] | None = None) -> Iterator[LocalRedis]:
    """Run a redis-server in a temporary directory. `options` add to its own or replace them.

    Raises OperatorError or FailedRunError.
    """
    available, why = redis_available()
    if not available:
        raise OperatorError(f"Redis cannot be started here: {why}")
    with _directory("redis") as directory:
        server = LocalRedis(directory, options or {})
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def _directory(name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(
        prefix=f"mmworker-{name}-", ignore_cleanup_errors=True
    ) as path:
        yield Path(path)


def _answers_ping(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
