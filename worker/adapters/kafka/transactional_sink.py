"""Appends batches of records, each batch in a transaction of its own: all of it or nothing."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress

from kafka.errors import InvalidProducerEpochError, KafkaError, ProducerFencedError

from worker.adapters.kafka.closing import Closing
from worker.adapters.kafka.connect import CONNECT_SECONDS, log_error
from worker.adapters.kafka.transactions import append_all, no_transactions, transactional_producer
from worker.config import KafkaSettings
from worker.core.ports import LogError, Output

UNKNOWN_OUTCOME = "unknown_outcome"  # the reason of a LogError: the batch may be visible


class TransactionalSink(Closing):
    """Not a part of the group: for records that come from no input offsets.

    A second sink with the same `transactional_id` ends what the first one has open and fences it.
    After a failure the sink is of no further use.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        transactional_id: str,
        *,
        max_record_bytes: int,
        commit_timeout: float = 60.0,
        connect_timeout: float = CONNECT_SECONDS,
    ) -> None:
        self._commit_timeout = commit_timeout
        self._producer = transactional_producer(
            settings,
            transactional_id,
            max_record_bytes=max_record_bytes,
            connect_timeout=connect_timeout,  # and no compression: media are compressed
        )
        try:
            self._producer.init_transactions()
        except KafkaError as error:
            self.close()
            raise no_transactions(error, transactional_id) from None

    def close(self) -> None:
        """Disconnect; an open transaction is left to its timeout or to the next sink."""
        with suppress(KafkaError):  # nothing that was acknowledged can be lost any more
            self._producer.close(timeout=2)

    def append(self, outputs: Sequence[Output]) -> None:
        """Return once all outputs are visible. Raises LogError: none is, or its reason says so."""
        done: Future[None] = Future()
        # the client waits for brokers without limit, so another thread does it
        threading.Thread(target=self._run, args=(outputs, done), daemon=True).start()
        try:
            done.result(self._commit_timeout)
        except TimeoutError:
            message = f"a commit took longer than {self._commit_timeout:.0f} s"
            raise LogError(UNKNOWN_OUTCOME, message, retriable=True) from None

    def _run(self, outputs: Sequence[Output], done: Future[None]) -> None:
        try:
            self._append(outputs)
        except Exception as error:  # whatever it is, the caller has to hear of it
            done.set_exception(error if isinstance(error, LogError) else _failed(error))
            with suppress(KafkaError):
                self._producer.abort_transaction()
        else:
            done.set_result(None)

    def _append(self, outputs: Sequence[Output]) -> None:
        self._producer.begin_transaction()
        timeout = self._commit_timeout / 2  # ends before the caller gives up
        append_all(self._producer, outputs, timeout)
        try:
            self._producer.commit_transaction()
        except KafkaError as error:
            if isinstance(error, _FENCED):
                raise
            raise LogError(
                UNKNOWN_OUTCOME, f"the commit failed: {error}", retriable=True
            ) from error


_FENCED = (ProducerFencedError, InvalidProducerEpochError)


def _failed(error: BaseException) -> LogError:
    if isinstance(error, _FENCED):
        return LogError("fenced", "another one like this has begun meanwhile", retriable=False)
    return log_error(error, "appending failed")
