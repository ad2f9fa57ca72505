"""Reads what a worker writes as it becomes visible."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from kafka import KafkaConsumer
from kafka import TopicPartition as ClientPartition

from worker.adapters.kafka.closing import Closing
from worker.adapters.kafka.connect import CONNECT_SECONDS, connect
from worker.config import KafkaSettings


class Reader(Closing):
    """Hands each value of a topic to `note`, with the time at which it could be read.

    In a thread of its own, from the oldest value on, read as committed; times are seconds since
    the epoch.
    """

    def __init__(
        self, kafka: KafkaSettings, topic: str, note: Callable[[float, bytes], None]
    ) -> None:
        self._note = note
        self._consumer = connect(
            KafkaConsumer,
            kafka,
            CONNECT_SECONDS,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=50,
            metrics_enabled=False,
        )
        indices = self._consumer.partitions_for_topic(topic) or ()
        self._consumer.assign([ClientPartition(topic, index) for index in indices])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name=f"reads {topic}", daemon=True)

        self._thread.start()

    def close(self) -> None:
        """Read no more."""
        self._stop.set()
        self._thread.join()
        self._consumer.close(autocommit=False)

    def _read(self) -> None:
        while not self._stop.is_set():
            for records in self._consumer.poll(timeout_ms=50).values():
                now = time.time()
                for record in records:
                    self._note(now, record.value)
