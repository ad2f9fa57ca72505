"""Reads whole topics, read committed, outside of any group."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from kafka import KafkaConsumer
from kafka import TopicPartition as ClientPartition
from kafka.errors import KafkaError

from worker.adapters.kafka.connect import CONNECT_SECONDS, connect, log_error
from worker.adapters.kafka.records import read_leniently, to_record
from worker.config import KafkaSettings
from worker.core.events import Record
from worker.core.ports import LogError


def read_topics(
    settings: KafkaSettings, topics: Sequence[str], timeout: float = 60.0
) -> dict[str, list[Record]]:
    """Return all committed records that the topics hold now, in partition and offset order.

    Raises OperatorError where no broker answers, LogError where the end is not reached in
    `timeout` seconds.
    """
    read_leniently()
    consumer = connect(
        KafkaConsumer,
        settings,
        CONNECT_SECONDS,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        allow_auto_create_topics=False,
        metrics_enabled=False,
    )
    try:
        return _read(consumer, topics, time.monotonic() + timeout)
    except KafkaError as error:
        raise log_error(error, "reading failed") from error
    finally:
        consumer.close(autocommit=False)


def _read(consumer: Any, topics: Sequence[str], deadline: float) -> dict[str, list[Record]]:
    partitions = [
        ClientPartition(topic, index)
        for topic in topics
        for index in sorted(consumer.partitions_for_topic(topic) or ())
    ]
    found: dict[str, list[Record]] = {topic: [] for topic in topics}
    if not partitions:
        return found
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends = consumer.end_offsets(partitions)
    while any(consumer.position(each) < end for each, end in ends.items()):
        if time.monotonic() > deadline:
            raise LogError("timeout", "the end of the topics was not reached", retriable=True)
        for records in consumer.poll(timeout_ms=200).values():
            for record in map(to_record, records):
                found[record.topic].append(record)
    for records in found.values():
        records.sort(key=lambda record: (record.partition, record.offset))
    return found
