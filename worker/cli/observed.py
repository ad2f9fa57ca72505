"""Reads stored Observations: from a file of JSON lines, or from the topic."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.adapters.kafka.reading import TopicReader
from worker.config import Config
from worker.core.messages import Observation, read_observation
from worker.core.ports import LogError
from worker.errors import FailedRunError, OperatorError


def from_file(path: Path) -> Iterator[Observation]:
    """Yield the Observations of a file such as `demo` and `analyze` write. Raises OperatorError."""
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _read(line, f"{path} line {number}")
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise OperatorError(f"{path} cannot be read ({reason}).") from None


def from_topic(reader: TopicReader, config: Config) -> Iterator[Observation]:
    """Yield what the topic holds now, committed, partition by partition. Raises OperatorError."""
    topic = config.topics.observations
    if not reader.partitions(topic):
        raise OperatorError(
            f"there is no topic {topic}: check topics.observations and kafka.bootstrap_servers"
        )
    for record in reader.read_all(topic):
        yield _read(record.value or b"", f"{topic} {record.partition}:{record.offset}")


@contextmanager
def kafka_failures() -> Iterator[None]:
    """Turn failures of the log into failed runs."""
    try:
        yield
    except LogError as error:
        raise FailedRunError(f"Kafka failed: {error}") from error


def _read(value: bytes, place: str) -> Observation:
    try:
        return read_observation(value)
    except ValueError as error:
        raise OperatorError(f"{place} is no Observation: {error}") from None
