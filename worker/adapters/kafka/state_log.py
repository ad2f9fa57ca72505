"""What a group has committed and the topics that its state is in, read committed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import structlog
from kafka import KafkaAdminClient, KafkaConsumer
from kafka import TopicPartition as ClientPartition
from kafka.errors import KafkaError, KafkaTimeoutError

from worker.adapters.kafka.connect import CONNECT_SECONDS, connect, log_error
from worker.adapters.kafka.fencing import end_open_transactions
from worker.adapters.kafka.membership import members_of
from worker.adapters.kafka.reading import Span, records_of
from worker.adapters.kafka.records import read_leniently
from worker.config import KafkaSettings
from worker.core.events import Record
from worker.core.ports import Committed, TopicPartition
from worker.errors import OperatorError

log = structlog.get_logger(__name__)

_MIB = 1024 * 1024
_CALL_MS = 10_000
_STABLE_MS = 1000  # to wait for open transactions before saying that there are some
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
        yield from records_of(self._consumer, Span(*partition, start, end), _STALLED_SECONDS)

    def processes(self) -> frozenset[str]:
        """Return the ids of the processes that are in the group. Raises LogError."""
        client = connect(KafkaAdminClient, self._settings, CONNECT_SECONDS)
        try:
            members = members_of(client, self._settings.group_id)
        except KafkaError as error:
            raise log_error(error, "asking for the group's members failed") from error
        finally:
            client.close()
        return frozenset(member.process for member in members)

    def unblock(self) -> None:
        """End transactions of the group that have been open for too long, where that is allowed."""
        try:
            end_open_transactions(self._settings)
        except (KafkaError, OperatorError) as error:
            log.warning("an open transaction cannot be ended; it ends by itself", error=str(error))

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close(autocommit=False)
