"""Reads stretches of partitions as a stream, read committed, outside of any group."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer
from kafka import TopicPartition as ClientPartition
from kafka.errors import KafkaError

from worker.adapters.kafka.closing import Closing
from worker.adapters.kafka.connect import CONNECT_SECONDS, connect, log_error
from worker.adapters.kafka.records import read_leniently, to_record
from worker.config import KafkaSettings
from worker.core.events import Record
from worker.core.ports import LogError

_STALL_SECONDS = 60.0  # without anything new, after which reading is given up
_POLL_RECORDS = 100


@dataclass(frozen=True, slots=True)
class Span:
    """The offsets [start, stop) of one partition."""

    topic: str
    partition: int
    start: int
    stop: int


def records_of(
    consumer: Any, span: Span, stall_seconds: float = _STALL_SECONDS
) -> Iterator[Record]:
    """Yield the span's committed records by a consumer without other work. Raises LogError."""
    partition = ClientPartition(span.topic, span.partition)
    try:
        consumer.assign([partition])
        consumer.seek(partition, span.start)
        yield from _until(consumer, partition, span.stop, stall_seconds)
    except KafkaError as error:
        raise log_error(error, f"reading topic {span.topic} failed") from error


def read_topics(settings: KafkaSettings, topics: Sequence[str]) -> dict[str, list[Record]]:
    """Return all committed records that the topics hold now, in partition and offset order.

    Raises OperatorError where no broker answers, LogError where an end is not reached.
    """
    with TopicReader(settings) as reader:
        return {topic: list(reader.read_all(topic)) for topic in topics}


class TopicReader(Closing):
    """A connection for reading. Raises OperatorError where no broker answers, else LogError."""

    def __init__(self, settings: KafkaSettings, connect_timeout: float = CONNECT_SECONDS) -> None:
        read_leniently()
        self._consumer = connect(
            KafkaConsumer,
            settings,
            connect_timeout,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            allow_auto_create_topics=False,
            max_poll_records=_POLL_RECORDS,
            metrics_enabled=False,
        )

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close(autocommit=False)

    def partitions(self, topic: str) -> list[int]:
        """Return the indices of the topic's partitions; none where there is no such topic."""
        try:
            return sorted(self._consumer.partitions_for_topic(topic) or ())
        except KafkaError as error:
            raise log_error(error, f"Kafka does not describe topic {topic}") from error

    def spans(self, topic: str, partitions: Iterable[int], since: int | None) -> list[Span]:
        """Return what the partitions hold now.

        What was appended before `since`, microseconds since the epoch, is left out as far as the
        brokers' index of times allows.
        """
        wanted = [ClientPartition(topic, index) for index in partitions]
        try:
            starts = self._consumer.beginning_offsets(wanted)
            stops = self._consumer.end_offsets(wanted)
            if since is not None:
                starts |= self._since(wanted, since, stops)
        except KafkaError as error:
            raise log_error(error, f"Kafka does not tell the offsets of topic {topic}") from error
        return [Span(topic, each.partition, starts[each], stops[each]) for each in wanted]

    def read(self, span: Span) -> Iterator[Record]:
        """Yield the records of the span in offset order; one span at a time."""
        return records_of(self._consumer, span)

    def read_all(self, topic: str) -> Iterator[Record]:
        """Yield what the topic holds now, partition by partition."""
        for span in self.spans(topic, self.partitions(topic), None):
            yield from self.read(span)

    def _since(self, partitions: list[Any], since: int, stops: dict[Any, int]) -> dict[Any, int]:
        """Return the first offsets at or after a time: the end, where nothing is as young."""
        millis = max(0, since // 1000)
        found = self._consumer.offsets_for_times(dict.fromkeys(partitions, millis))
        return {
            each: stops[each] if place is None else place.offset for each, place in found.items()
        }


def _until(consumer: Any, partition: Any, stop: int, stall_seconds: float) -> Iterator[Record]:
    reached, heard = -1, time.monotonic()
    while (position := consumer.position(partition)) < stop:
        if position != reached:
            reached, heard = position, time.monotonic()
        elif time.monotonic() - heard > stall_seconds:
            raise LogError("timeout", f"no records came from {partition.topic}", retriable=True)
        for record in consumer.poll(timeout_ms=200).get(partition, ()):
            if record.offset >= stop:
                return
            yield to_record(record)
