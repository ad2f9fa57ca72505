"""The input topics of a consumer group, read committed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from kafka import KafkaConsumer
from kafka import TopicPartition as ClientPartition
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import (
    KafkaError,
    LogTruncationError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from worker.adapters.kafka.admin import TopicInfo
from worker.adapters.kafka.connect import CONNECT_SECONDS, connect, log_error
from worker.adapters.kafka.end_offsets import EndOffsets
from worker.adapters.kafka.heartbeats import Heartbeats
from worker.adapters.kafka.joins import announce_partitions, keep_finished_joins
from worker.adapters.kafka.membership import Membership, Rebalances, kept, process_id
from worker.adapters.kafka.parked import make_way
from worker.adapters.kafka.records import read_leniently, to_record
from worker.adapters.kafka.topic_watch import TopicWatch
from worker.config import KafkaSettings
from worker.core.events import Record
from worker.core.ports import LogError, Polled, TopicPartition
from worker.errors import OperatorError

_MIB = 1024 * 1024
_FETCH_WAIT_MS = 200  # for which a partition that is read on may wait for a fetch without it
_MAX_POLL_RECORDS = 500
_CALL_MS = 10_000
_CLOSE_MS = 5_000
_METADATA_MS = 5_000  # how old may be what is known of the topics; the client's default is 300 s


class KafkaInputLog:
    """An InputLog. A group without history begins with the oldest records.

    `process` is the id of its process, which is this one's where it is left out. `known` are the
    topics as the process found them when it started; where they are others now, LogError is raised.

    At most about twice 4 MiB are held per broker, and one fetch per paused partition. A record that
    is larger than that comes in a fetch of its own (brokers since 0.10.1).
    """

    def __init__(
        self,
        settings: KafkaSettings,
        topics: Sequence[str],
        *,
        known: Mapping[str, TopicInfo] | None = None,
        connect_timeout: float = CONNECT_SECONDS,
        process: str | None = None,
    ) -> None:
        read_leniently()
        self._process = process or process_id()
        options = _options(settings) | {"client_id": self._process}
        self._consumer = connect(KafkaConsumer, settings, connect_timeout, **options)
        try:
            self._ends = EndOffsets(settings, connect_timeout)
            self._rebalances = Rebalances(self._consumer.group_metadata)
            self._subscribe(topics, known or {})
        except BaseException:
            self._consumer.close(autocommit=False, timeout_ms=_CLOSE_MS)
            raise
        keep_finished_joins(self._consumer)
        self._heartbeats = Heartbeats(self._consumer)
        self._membership = Membership()
        self._caught_up: frozenset[TopicPartition] = frozenset()
        self._lag: dict[TopicPartition, int] = {}
        self._positions: dict[TopicPartition, int] = {}

    def poll(self, timeout: float) -> Polled:
        """Wait up to `timeout` seconds for records. Raises LogError."""
        fetched = self._fetch(timeout)
        self._topics.check()  # before what was read of them is handed out
        before, seen = self._membership, self._rebalances.take()
        if seen:
            self._membership = seen[-1]
            self._ends.expire()
        owned = self._membership.partitions
        regained = (owned & before.partitions) - kept(before, seen)
        if regained:
            self._seek_to_committed(regained)
            self._forget(regained)
        return self._polled(fetched, owned - regained)

    def pause(self, partitions: frozenset[TopicPartition]) -> None:
        """Let exactly these of the assigned partitions be paused."""
        wanted = {ClientPartition(*each) for each in partitions} & self._consumer.assignment()
        paused = self._consumer.paused()
        self._consumer.pause(*(wanted - paused))
        self._consumer.resume(*(paused - wanted))

    def seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Read on from these offsets."""
        for partition in self._membership.partitions & offsets.keys():
            self._consumer.seek(ClientPartition(*partition), offsets[partition])
        self._forget(offsets.keys())

    def close(self) -> None:
        """Leave the group."""
        self._ends.close()
        self._consumer.close(autocommit=False, timeout_ms=_CLOSE_MS)

    def _subscribe(self, topics: Sequence[str], known: Mapping[str, TopicInfo]) -> None:
        missing = [topic for topic in topics if not self._consumer.partitions_for_topic(topic)]
        if missing:
            raise OperatorError(
                f"there is no topic {', '.join(missing)}: run `mmworker topics create`,"
                " or set the names under `topics`"
            )
        self._topics = TopicWatch(self._consumer._cluster, topics, known)
        self._topics.check()
        self._consumer.subscribe(list(topics), listener=self._rebalances)
        announce_partitions(self._consumer)

    def _fetch(self, timeout: float) -> Mapping[Any, Sequence[Any]]:
        """Poll the client; give first positions to partitions without a committed offset."""
        make_way(self._consumer)
        try:
            polled: Mapping[Any, Sequence[Any]] = self._consumer.poll(int(timeout * 1000))
        except NoOffsetForPartitionError as error:
            self._call(self._seek_to_beginning, error.args[0])
            return {}
        except (OffsetOutOfRangeError, LogTruncationError) as error:
            raise LogError(
                "offset_out_of_range",
                f"records that were not processed yet are gone from the log ({error}): give the"
                " topics a longer retention, and move the group's offsets on purpose",
                retriable=False,
            ) from error
        except KafkaError as error:
            raise log_error(error, "reading failed") from error
        if self._heartbeats.fenced is not None:
            raise log_error(self._heartbeats.fenced, "reading failed")
        return polled

    def _seek_to_beginning(self, partitions: Iterable[Any]) -> None:
        beginnings = self._consumer.beginning_offsets(list(partitions), timeout_ms=_CALL_MS)
        for partition, offset in beginnings.items():
            self._consumer.seek(partition, offset)

    def _seek_to_committed(self, partitions: frozenset[TopicPartition]) -> None:
        """Forget the positions of partitions that others may have owned in between."""
        for each in partitions:
            self._call(self._seek_one, ClientPartition(*each))

    def _seek_one(self, partition: Any) -> None:
        committed = self._consumer.committed(partition, timeout_ms=_CALL_MS)
        if committed is None:
            self._seek_to_beginning([partition])
        else:
            self._consumer.seek(partition, committed)

    def _call(self, function: Any, *arguments: Any) -> None:
        try:
            function(*arguments)
        except KafkaError as error:
            raise log_error(error, "finding the position failed") from error

    def _polled(
        self, fetched: Mapping[Any, Sequence[Any]], owned: frozenset[TopicPartition]
    ) -> Polled:
        """Report the partitions in `owned`; one regained comes with the next poll.

        So the caller sees it leave and come back, and forgets what it knew of it.
        """
        records: dict[TopicPartition, list[Record]] = {}
        for each, consumed in fetched.items():
            if (partition := TopicPartition(*each)) in owned:
                records[partition] = [to_record(record) for record in consumed]
        if records:
            self._ends.hear()
        self._measure(owned)
        return Polled(
            records=records,
            assignment=owned,
            ownership=self._membership.ownership(self._process),
            caught_up=self._caught_up & owned,
            lag={each: lag for each, lag in self._lag.items() if each in owned},
            positions={each: at for each, at in self._positions.items() if each in owned},
        )

    def _measure(self, owned: frozenset[TopicPartition]) -> None:
        """Compare positions and ends. Between lookups positions only advance: what holds, holds.

        Not for long: after a long quiet lookups are seldom, and between them nothing is known to be
        fully read.
        """
        ends = self._ends.refreshed(owned)
        if ends is None:
            if not self._ends.is_fresh:
                self._caught_up = frozenset()
            return
        positions = {each: at for each in ends if (at := self._position(each)) is not None}
        lags = {each: max(0, ends[each] - at) for each, at in positions.items()}
        self._caught_up = frozenset(each for each, lag in lags.items() if lag == 0)
        if lags:
            self._lag, self._positions = lags, positions

    def _forget(self, partitions: Collection[TopicPartition]) -> None:
        """Forget what was found about partitions whose position has changed."""
        self._caught_up -= frozenset(partitions)
        for each in partitions:
            self._lag.pop(each, None)
            self._positions.pop(each, None)
        self._ends.expire()

    def _position(self, partition: TopicPartition) -> int | None:
        try:
            position: int | None = self._consumer.position(
                ClientPartition(*partition), timeout_ms=0
            )
        except KafkaError:
            return None
        return position


def _options(settings: KafkaSettings) -> dict[str, Any]:
    session_ms = int(settings.session_timeout_seconds * 1000)
    return {
        "group_id": settings.group_id,
        "group_instance_id": settings.group_instance_id or None,
        "partition_assignment_strategy": (RangePartitionAssignor,),
        "isolation_level": "read_committed",  # also makes offset lookups wait for transactions
        "enable_auto_commit": False,
        "auto_offset_reset": "none",  # a position out of range is not to move silently
        "allow_auto_create_topics": False,
        "fetch_max_wait_ms": _FETCH_WAIT_MS,
        "fetch_max_bytes": 4 * _MIB,  # the client copies what it holds several times
        "max_partition_fetch_bytes": 2 * _MIB,  # above one batch of usual producers
        "max_poll_records": _MAX_POLL_RECORDS,
        "session_timeout_ms": session_ms,
        "heartbeat_interval_ms": max(100, min(3000, session_ms // 3)),
        "metadata_max_age_ms": _METADATA_MS,
        "max_poll_interval_ms": int(settings.max_poll_interval_seconds * 1000),
        "metrics_enabled": False,
    }
