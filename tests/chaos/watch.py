"""Looks at the offsets of a group all the time: do they go back, do they go on?"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer
from kafka import TopicPartition as ClientPartition
from kafka.errors import KafkaError

from tests.chaos.story import Offsets
from worker.adapters.kafka.connect import CONNECT_SECONDS, connect
from worker.config import Config
from worker.core.ports import TopicPartition
from worker.errors import OperatorError

_INTERVAL = 0.25  # seconds
_INTERNAL = "__consumer_offsets"

Positions = dict[TopicPartition, int]


class OffsetWatch:
    """A thread that samples what the group has committed. Faults of the broker are waited out."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._committed: Positions = {}
        self._looks = 0
        self._went_back: list[str] = []
        self._thread = threading.Thread(target=self._run, name="offset-watch", daemon=True)
        self._thread.start()

    def committed(self) -> Positions:
        """Return what was committed when it last looked."""
        with self._lock:
            return dict(self._committed)

    @property
    def looks(self) -> int:
        """How often it has looked."""
        return self._looks

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()

    def offsets(self, inputs: Iterable[str], outputs: Iterable[str]) -> Offsets:
        """Return what the auditor wants to know of the topics."""
        ends = _ends(self._config, inputs, committed=False)
        looked_at = [*outputs, *inputs, _INTERNAL]
        stable = _ends(self._config, looked_at, committed=True)
        reached = _ends(self._config, looked_at, committed=False)
        return Offsets(
            committed=self._look(),
            ends=ends,
            looks=self._looks,
            went_back=tuple(self._went_back),
            partitions=len(stable),
            open={key: (at, reached[key]) for key, at in stable.items() if at < reached[key]},
        )

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                admin = connect(KafkaAdminClient, self._config.kafka, CONNECT_SECONDS)
            except OperatorError:
                continue
            try:
                while not self._stop.wait(_INTERVAL):
                    self._note(_committed(admin, self._config.kafka.group_id))
            except KafkaError:
                self._stop.wait(_INTERVAL)
            finally:
                admin.close()

    def _note(self, seen: Positions) -> None:
        with self._lock:
            self._looks += 1
            for (topic, index), before in self._committed.items():
                now = seen.get(TopicPartition(topic, index), 0)
                if now < before:
                    self._went_back.append(f"{topic}-{index} went back from {before} to {now}")
            self._committed = seen

    def _look(self) -> Positions:
        admin = connect(KafkaAdminClient, self._config.kafka, CONNECT_SECONDS)
        try:
            self._note(_committed(admin, self._config.kafka.group_id))
        finally:
            admin.close()
        return self.committed()


def ends_of(config: Config, topics: Iterable[str]) -> Positions:
    """Return where the partitions of the topics end."""
    return _ends(config, topics, committed=False)


def _committed(admin: Any, group: str) -> Positions:
    found = admin.list_group_offsets(group)[group]
    return {
        TopicPartition(each.topic, each.partition): value.offset
        for each, value in found.items()
        if value.offset >= 0
    }


def _ends(config: Config, topics: Iterable[str], *, committed: bool) -> Positions:
    """Return the ends for readers of committed records, or of all."""
    consumer = connect(
        KafkaConsumer,
        config.kafka,
        CONNECT_SECONDS,
        isolation_level="read_committed" if committed else "read_uncommitted",
        enable_auto_commit=False,
        exclude_internal_topics=False,
        metrics_enabled=False,
    )
    try:
        partitions = [
            ClientPartition(topic, index)
            for topic in topics
            for index in consumer.partitions_for_topic(topic) or ()
        ]
        return {TopicPartition(*key): end for key, end in consumer.end_offsets(partitions).items()}
    finally:
        consumer.close(autocommit=False)
