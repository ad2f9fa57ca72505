"""Appends events, media and all, outside of transactions."""

from __future__ import annotations

from collections import deque
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from worker.adapters.kafka.connect import CONNECT_SECONDS, connect, log_error
from worker.adapters.kafka.records import OUTPUT_SERIALIZERS, send
from worker.config import KafkaSettings
from worker.core.partitioner import placement
from worker.core.ports import LogError, Output

_MIB = 1024 * 1024
_MAX_BYTES = 64 * _MIB  # that may be under way, or one record
_MAX_RECORDS = 5000
_DELIVERY_SECONDS = 30.0


class KafkaSink:
    """A RecordSink that neither loses nor repeats while it lives (idempotent producer).

    A failed record shows itself at a later `append` or at `flush`, as LogError.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        max_record_bytes: int = 8 * _MIB,
        connect_timeout: float = CONNECT_SECONDS,
    ) -> None:
        self._producer = connect(
            KafkaProducer,
            settings,
            connect_timeout,
            max_request_size=max_record_bytes + _MIB,
            batch_size=_MIB,  # one batch per partition is in flight: small ones would starve it
            linger_ms=5,
            delivery_timeout_ms=int(_DELIVERY_SECONDS * 1000),
            request_timeout_ms=int(_DELIVERY_SECONDS * 1000) // 2,
            max_block_ms=int(connect_timeout * 1000),
            allow_auto_create_topics=False,
            metrics_enabled=False,
            **OUTPUT_SERIALIZERS,  # and no compression: media are compressed
        )
        self._in_flight: deque[tuple[Any, int]] = deque()
        self._bytes = 0

    def append(self, output: Output) -> None:
        """Append; waits while too much is in flight. Raises LogError."""
        self._settle_done()
        size = len(output.value or b"")
        while self._in_flight and (
            self._bytes + size > _MAX_BYTES or len(self._in_flight) >= _MAX_RECORDS
        ):
            self._settle_oldest()
        try:
            partitions = len(self._producer.partitions_for(output.topic))
            future = send(self._producer, output, placement(output, partitions))
        except KafkaError as error:
            raise log_error(error, f"appending to {output.topic} failed") from error
        self._in_flight.append((future, size))
        self._bytes += size

    def flush(self) -> None:
        """Return when all appended records are in the log. Raises LogError."""
        try:
            self._producer.flush(timeout=2 * _DELIVERY_SECONDS)
        except KafkaError as error:
            raise log_error(error, "flushing failed") from error
        while self._in_flight:
            self._settle_oldest()

    def close(self) -> None:
        """Disconnect. What was not flushed may be lost."""
        try:
            self._producer.close(timeout=2)
        except KafkaError as error:
            raise log_error(error, "closing failed") from error

    def _settle_done(self) -> None:
        while self._in_flight and self._in_flight[0][0].is_done:
            self._settle_oldest()

    def _settle_oldest(self) -> None:
        future, size = self._in_flight.popleft()
        self._bytes -= size
        try:
            future.get(timeout=2 * _DELIVERY_SECONDS)
        except KafkaError as error:
            raise _lost(error) from error


def _lost(error: KafkaError) -> LogError:
    return log_error(error, "a record was not appended")
