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

_INTERVAL, _QUIET_INTERVAL = 0.05, 1.0  # seconds; the first is a part of what merging waits for
_QUIET_SECONDS = 30.0  # without a record, after which it is asked less often
_TIMEOUT_MS = 500


class Pace:
    """How often to ask: often while records come, seldom after a long quiet. Times in seconds.

    To ask often would be half of what an idle worker does.
    """

    def __init__(self, now: float) -> None:
        self._heard = now
        self._known: float | None = None  # of when the answer is
        self._asked: float | None = None  # when it came

    def hear(self, now: float) -> None:
        """Note that a record came."""
        self._heard = now

    def ask(self, began: float, ended: float) -> None:
        """Note that an answer came at `ended`, which may be as old as `began`."""
        self._known, self._asked = began, ended

    def expire(self) -> None:
        """Let it be due, whatever is known."""
        self._known = self._asked = None

    def is_due(self, now: float) -> bool:
        """Tell whether it is time to ask."""
        if self._asked is None:
            return True
        is_quiet = now - self._heard >= _QUIET_SECONDS
        return now - self._asked >= (_QUIET_INTERVAL if is_quiet else _INTERVAL)

    def is_fresh(self, now: float) -> bool:
        """Tell whether the last answer still says what is fully read."""
        return self._known is not None and now - self._known < _INTERVAL


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
        self._pace = Pace(time.monotonic())

    def refreshed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int] | None:
        """Return the ends as of now; None where it is not time for another lookup.

        Empty where the brokers do not answer.
        """
        began = time.monotonic()
        if not self._pace.is_due(began):
            return None
        wanted = [ClientPartition(*each) for each in partitions]
        try:
            ends = self._client.end_offsets(wanted, timeout_ms=_TIMEOUT_MS) if wanted else {}
        except (KafkaError, KeyError):  # the latter for partitions that its metadata lacks
            ends = {}
        self._pace.ask(began, time.monotonic())
        return {TopicPartition(*each): end for each, end in ends.items()}

    @property
    def is_fresh(self) -> bool:
        """Whether the last lookup still says which partitions are fully read."""
        return self._pace.is_fresh(time.monotonic())

    def hear(self) -> None:
        """Note that records came: lookups are to be frequent."""
        self._pace.hear(time.monotonic())

    def expire(self) -> None:
        """Let the next call ask."""
        self._pace.expire()

    def close(self) -> None:
        """Disconnect."""
        self._client.close(autocommit=False)
