"""What the outbox would be without transactions: an idempotent producer, and plain offset commits.

Outputs and offsets are then not one unit: a crash between them repeats outputs. It is only here to
be compared with.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from kafka import KafkaProducer
from kafka import TopicPartition as ClientPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from worker.adapters.kafka.connect import CONNECT_SECONDS, connect, log_error
from worker.adapters.kafka.input_log import KafkaInputLog
from worker.adapters.kafka.records import OUTPUT_SERIALIZERS
from worker.adapters.kafka.transactions import append_all
from worker.config import KafkaSettings
from worker.core.ports import CommitUnit, Ownership, Polled

_MIB = 1024 * 1024
_FLUSH_SECONDS = 30.0

Commit = Callable[[CommitUnit, Future[None]], None]


class PlainInputLog(KafkaInputLog):
    """Commits the offsets that it is given by `commit`, with the next poll."""

    def __init__(self, settings: KafkaSettings, topics: Sequence[str]) -> None:
        super().__init__(settings, topics)
        self._due: queue.SimpleQueue[tuple[CommitUnit, Future[None]]] = queue.SimpleQueue()

    def commit(self, unit: CommitUnit, future: Future[None]) -> None:
        """Let the unit's offsets be committed. May be called from any thread."""
        self._due.put((unit, future))

    def poll(self, timeout: float) -> Polled:
        """Commit what is due, then poll."""
        while not self._due.empty():
            self._commit(*self._due.get())
        return super().poll(timeout)

    def _commit(self, unit: CommitUnit, future: Future[None]) -> None:
        offsets = {
            ClientPartition(*each): OffsetAndMetadata(offset, metadata, -1)
            for each, (offset, metadata) in unit.offsets.items()
        }

        def end(_: Any, response: Any) -> None:
            if isinstance(response, Exception):
                future.set_exception(log_error(response, "committing offsets failed"))
            else:
                future.set_result(None)

        self._consumer.commit_async(offsets, callback=end)


class PlainOutbox:
    """An Outbox; settings of the producer are those of the transactional one."""

    def __init__(self, settings: KafkaSettings, commit: Commit) -> None:
        self._commit = commit
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="outbox")
        self._producer = connect(
            KafkaProducer,
            settings,
            CONNECT_SECONDS,
            enable_idempotence=True,
            batch_size=256 * 1024,
            max_request_size=9 * _MIB,
            compression_type="lz4",
            allow_auto_create_topics=False,
            metrics_enabled=False,
            **OUTPUT_SERIALIZERS,
        )

    def submit(self, unit: CommitUnit, ownership: Ownership) -> Future[None]:
        """Append, then commit the offsets. Nothing fences a member that was replaced."""
        future: Future[None] = Future()
        self._thread.submit(self._append, unit, future)
        return future

    def close(self, timeout: float) -> None:
        """Wait for what was submitted, then disconnect."""
        self._thread.shutdown()
        self._producer.close(timeout=timeout)

    def _append(self, unit: CommitUnit, future: Future[None]) -> None:
        try:
            append_all(self._producer, unit.outputs, _FLUSH_SECONDS)
        except KafkaError as error:
            future.set_exception(log_error(error, "appending failed"))
        else:
            self._commit(unit, future)
