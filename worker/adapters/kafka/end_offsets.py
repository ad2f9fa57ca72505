"""Asks the brokers now and then where the partitions end for a reader of committed records."""

from __future__ import annotations

import time
from collections.abc import Iterable

from kafka import KafkaConsumer
from kafka import TopicPartition as ClientPartition
from kafka.errors import KafkaError

from worker.adapters.kafka.connect import connect
from worker.config import KafkaSettings
from worker.core.ports import TopicPartition

_INTERVAL = 0.1  # seconds
_TIMEOUT_MS = 500


class EndOffsets:
    """Last stable offsets, with a connection of its own.

    What the consumer knows from its fetches is not enough: it is the high watermark, which an open
    transaction never lets it reach, and it is as old as the last fetch. A lookup on the consumer's
    connection would wait behind its pending fetch.
    """

    def __init__(self, settings: KafkaSettings, connect_timeout: float) -> None:
        self._client = connect(
            KafkaConsumer,
            settings,
            connect_timeout,
            isolation_level="read_committed",
            allow_auto_create_topics=False,
            enable_auto_commit=False,
            metrics_enabled=False,
        )
        self._asked = -_INTERVAL

    def refreshed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int] | None:
        """Return the ends as of now; None while the last lookup is fresh.

        Empty where the brokers do not answer.
        """
        if time.monotonic() - self._asked < _INTERVAL:
            return None
        wanted = [ClientPartition(*each) for each in partitions]
        try:
            ends = self._client.end_offsets(wanted, timeout_ms=_TIMEOUT_MS) if wanted else {}
        except (KafkaError, KeyError):  # the latter for partitions that its metadata lacks
            ends = {}
        self._asked = time.monotonic()
        return {TopicPartition(*each): end for each, end in ends.items()}

    def expire(self) -> None:
        """Let the next call ask."""
        self._asked = -_INTERVAL

    def close(self) -> None:
        """Disconnect."""
        self._client.close(autocommit=False)
