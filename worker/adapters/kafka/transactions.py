"""Producers that append in transactions: how they are made, begun and given records."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kafka import KafkaProducer

from worker.adapters.kafka.connect import CONNECT_SECONDS, connect
from worker.adapters.kafka.records import OUTPUT_SERIALIZERS, send
from worker.config import KafkaSettings
from worker.core.message_sizes import MAX_MESSAGE_BYTES
from worker.core.partitioner import placement
from worker.core.ports import Output
from worker.errors import OperatorError

_MIB = 1024 * 1024
_TIMEOUT_MS = 60_000  # longer than a broker restart: with 8 s readers hung
_BATCH_BYTES = 256 * 1024


def transactional_producer(
    settings: KafkaSettings,
    transactional_id: str,
    *,
    max_record_bytes: int = 8 * _MIB,
    connect_timeout: float = CONNECT_SECONDS,
    compression_type: str | None = None,
) -> Any:
    """Return a connected producer whose transactions are still to be begun with.

    Raises OperatorError where no broker answers.
    """
    return connect(
        KafkaProducer,
        settings,
        connect_timeout,
        transactional_id=transactional_id,
        transaction_timeout_ms=_TIMEOUT_MS,
        max_block_ms=int(connect_timeout * 1000),
        max_request_size=max(max_record_bytes, MAX_MESSAGE_BYTES) + _MIB,
        batch_size=_BATCH_BYTES,
        compression_type=compression_type,
        allow_auto_create_topics=False,
        metrics_enabled=False,
        **OUTPUT_SERIALIZERS,
    )


def append_all(producer: Any, outputs: Iterable[Output], timeout: float) -> None:
    """Append to the transaction that is open; return when brokers have it all. Raises KafkaError.

    `timeout` is in seconds.
    """
    sent = [
        send(producer, output, placement(output, len(producer.partitions_for(output.topic))))
        for output in outputs
    ]
    producer.flush(timeout=timeout)
    for future in sent:
        future.get(timeout=0)  # a batch that failed does not fail the transaction by itself


def no_transactions(error: BaseException, transactional_id: str) -> OperatorError:
    """Return what to say where transactions cannot be begun with."""
    return OperatorError(
        f"Kafka does not begin transactions ({error}): check that its transaction coordinator is"
        f" up and that this user may write with the transactional id {transactional_id}"
    )
