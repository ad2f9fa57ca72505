"""What a group has committed and the topics that its state is in, read committed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import structlog
from kafka import KafkaConsumer
from kafka import TopicPartition as ClientPartition
from kafka.errors import KafkaError, KafkaTimeoutError

from worker.adapters.kafka.connect import CONNECT_SECONDS, connect, log_error
from worker.adapters.kafka.fencing import end_open_transactions
from worker.adapters.kafka.records import read_leniently, to_record
from worker.config import KafkaSettings
from worker.core.events import Record
from worker.core.ports import Committed, LogError, TopicPartition
from worker.errors import OperatorError

log = structlog.get_logger(__name__)

_MIB = 1024 * 1024
_CALL_MS = 10_000
_STABLE_MS = 1000  # to wait for open transactions before saying that there are some
_POLL_MS = 500
_STALLED_SECONDS = 30.0


class KafkaStateLog:
    """A StateLog of a group of which it is no member. Belongs to one thread at a time."""

    def __init__(
        self, settings: KafkaSettings, *, connect_timeout: float = CONNECT_SECONDS
    ) -> None:
        read_leniently()
        self._settings = settings
        self._consumer = connect(
            KafkaConsumer,
            settings,
            connect_timeout,
            group_id=settings.group_id,
            isolation_level="read_committed",  # also makes offset lookups wait for transactions
            enable_auto_commit=False,
            auto_offset_reset="none",
            allow_auto_create_topics=False,
            max_partition_fetch_bytes=8 * _MIB,
            fetch_max_bytes=8 * _MIB,
            fetch_max_wait_ms=50,
            metrics_enabled=False,
        )

    def committed(
        self, partitions: Iterable[TopicPartition]
    ) -> Mapping[TopicPartition, Committed] | None:
        """Return what the group has committed; None while transactions are open."""
        found: dict[TopicPartition, Committed] = {}
        try:
            for each in partitions:
                told = self._consumer.committed(
                    ClientPartition(*each), metadata=True, timeout_ms=_STABLE_MS
                )
                if told is not None:
                    found[each] = Committed(told.offset, told.metadata or "")
        except KafkaTimeoutError:
            return None
        except KafkaError as error:
            raise log_error(error, "reading the committed offsets failed") from error
        return found

    def bounds(self, partition: TopicPartition) -> tuple[int, int]:
        """Return the first offset and the last stable one. Raises LogError."""
        wanted = [ClientPartition(*partition)]
        try:
            beginning = self._consumer.beginning_offsets(wanted, timeout_ms=_CALL_MS)
            end = self._consumer.end_offsets(wanted, timeout_ms=_CALL_MS)
        except KafkaError as error:
            raise log_error(error, "finding the ends of a partition failed") from error
        return beginning[wanted[0]], end[wanted[0]]

    def read(self, partition: TopicPartition, start: int) -> Iterator[Record]:
        """Yield the committed records from `start` to what is the end now. Raises LogError."""
        _, end = self.bounds(partition)
        mine = ClientPartition(*partition)
        self._consumer.assign([mine])
        self._consumer.seek(mine, start)
        deadline = time.monotonic() + _STALLED_SECONDS
        while self._position(mine) < end:
            for record in self._poll(mine):
                deadline = time.monotonic() + _STALLED_SECONDS
                if record.offset < end:
                    yield to_record(record)
            if time.monotonic() > deadline:
                message = f"topic {partition.topic} could not be read to its end"
                raise LogError("state_unreadable", message, retriable=True)

    def unblock(self) -> None:
        """End transactions of the group that have been open for too long, where that is allowed."""
        try:
            end_open_transactions(self._settings)
        except (KafkaError, OperatorError) as error:
            log.warning("an open transaction cannot be ended; it ends by itself", error=str(error))

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close(autocommit=False)

    def _poll(self, partition: Any) -> list[Any]:
        try:
            records: list[Any] = self._consumer.poll(timeout_ms=_POLL_MS).get(partition, [])
        except KafkaError as error:
            raise log_error(error, "reading the state failed") from error
        return records

    def _position(self, partition: Any) -> int:
        try:
            return int(self._consumer.position(partition, timeout_ms=_CALL_MS))
        except KafkaError as error:
            raise log_error(error, "reading the state failed") from error
