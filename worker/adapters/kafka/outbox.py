"""Units of outputs and input offsets, each in a transaction of its own."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress

from kafka import TopicPartition as ClientPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from worker.adapters.kafka.connect import CONNECT_SECONDS, log_error
from worker.adapters.kafka.transactions import append_all, no_transactions, transactional_producer
from worker.config import KafkaSettings
from worker.core.ports import CommitUnit, LogError, Ownership

_MIB = 1024 * 1024

_Job = tuple[CommitUnit, Ownership, Future[None]]


class KafkaOutbox:
    """An Outbox. The client waits for brokers without limit, so a watchdog gives up for it.

    `transactional_id` belongs to one live outbox: a second one with the same id fences the first.
    `commit_timeout` is in seconds, from submission to the end of the commit. The future of a unit
    that was given up may hide a commit that succeeded. `on_published` is told, in seconds, how long
    it took until brokers had the outputs of a unit. What is to be known of `topics` is asked for at
    once, not before the first record of each, when brokers may be away.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        transactional_id: str,
        *,
        topics: Sequence[str] = (),
        max_record_bytes: int = 8 * _MIB,
        commit_timeout: float = 30.0,
        connect_timeout: float = CONNECT_SECONDS,
        on_published: Callable[[float], None] | None = None,
    ) -> None:
        self._commit_timeout = commit_timeout
        self._on_published = on_published or (lambda _: None)
        self._transactional_id = transactional_id
        self._topics = topics
        self._producer = transactional_producer(
            settings,
            transactional_id,
            max_record_bytes=max_record_bytes,
            connect_timeout=connect_timeout,
            compression_type="lz4",
        )
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._failure: LogError | None = None
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="outbox", daemon=True)
        self._thread.start()
        self._await_ready(ready, connect_timeout)

    def submit(self, unit: CommitUnit, ownership: Ownership) -> Future[None]:
        """Begin to commit. The future fails with LogError, and so do all later ones.

        A unit without offsets is a ValueError: the group would not fence it.
        """
        if not unit.offsets:
            raise ValueError("a unit carries the offsets of its inputs, else it is not fenced")
        future: Future[None] = Future()
        with self._lock:
            failure = self._failure
        if failure is not None:
            future.set_exception(_refused(failure))
            return future
        watchdog = threading.Timer(self._commit_timeout, self._give_up, (future,))
        watchdog.daemon = True
        watchdog.start()
        future.add_done_callback(lambda _: watchdog.cancel())
        self._jobs.put((unit, ownership, future))
        return future

    def close(self, timeout: float) -> None:
        """Wait up to `timeout` seconds for what was submitted, then let go."""
        self._jobs.put(None)
        self._thread.join(timeout)
        self._fail(None, LogError("closed", "the outbox is closed", retriable=False))
        with suppress(KafkaError):  # nothing that was acknowledged can be lost any more
            self._producer.close(timeout=0 if self._thread.is_alive() else 2)

    def _await_ready(self, ready: Future[None], timeout: float) -> None:
        try:
            ready.result(timeout + 1)
        except (KafkaError, TimeoutError) as error:
            self.close(0)
            raise no_transactions(error, self._transactional_id) from None

    def _run(self, ready: Future[None]) -> None:
        try:
            self._producer.init_transactions()
        except KafkaError as error:
            ready.set_exception(error)
            return
        ready.set_result(None)
        for topic in self._topics:
            with suppress(KafkaError):  # a record for it will tell
                self._producer.partitions_for(topic)
        while (job := self._jobs.get()) is not None:
            self._handle(*job)

    def _handle(self, unit: CommitUnit, ownership: Ownership, future: Future[None]) -> None:
        if self._failure is not None:
            self._fail(future, _refused(self._failure))
            return
        try:
            self._commit(unit, ownership)
        except Exception as error:  # whatever it is, the unit is not surely visible
            failure = error if isinstance(error, LogError) else log_error(error, "commit failed")
            self._abort()
            self._fail(future, failure)
        else:
            with self._lock:
                if not future.done():
                    future.set_result(None)

    def _commit(self, unit: CommitUnit, ownership: Ownership) -> None:
        if ownership.generation < 0:  # brokers take it for a client without a group
            raise LogError("not_a_member", "the group has no such member", retriable=True)
        self._producer.begin_transaction()
        began = time.monotonic()
        append_all(self._producer, unit.outputs, self._commit_timeout)
        self._on_published(time.monotonic() - began)
        offsets = {
            ClientPartition(*partition): OffsetAndMetadata(offset, metadata, -1)
            for partition, (offset, metadata) in unit.offsets.items()
        }
        self._producer.send_offsets_to_transaction(offsets, ownership.token)
        self._producer.commit_transaction()

    def _abort(self) -> None:
        """Free the readers who wait for the open transaction. This producer is not used again."""
        with suppress(KafkaError):  # else the next producer with this id aborts it, or its timeout
            self._producer.abort_transaction()

    def _give_up(self, future: Future[None]) -> None:
        message = f"a commit took longer than {self._commit_timeout:.0f} s; its outcome is unknown"
        self._fail(future, LogError("commit_timeout", message, retriable=True))

    def _fail(self, future: Future[None] | None, failure: LogError) -> None:
        with self._lock:
            self._failure = self._failure or failure
            if future is not None and not future.done():
                future.set_exception(failure)


def _refused(failure: LogError) -> LogError:
    return LogError("refused", f"refused after an earlier failure: {failure}", retriable=True)
