"""Appends batches of records, each batch in a transaction of its own: all of it or nothing."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from kafka import KafkaProducer
from kafka.errors import InvalidProducerEpochError, KafkaError, ProducerFencedError

from worker.adapters.kafka.connect import CONNECT_SECONDS, connect, log_error
from worker.adapters.kafka.records import OUTPUT_SERIALIZERS, send
from worker.config import KafkaSettings
from worker.core.partitioner import placement
from worker.core.ports import LogError, Output
from worker.errors import OperatorError

_MIB = 1024 * 1024
_TRANSACTION_TIMEOUT_MS = 60_000  # as the outbox: longer than a broker restart
UNKNOWN_OUTCOME = "unknown_outcome"  # the reason of a LogError: the batch may be visible


class TransactionalSink:
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
        self._producer = connect(
            KafkaProducer,
            settings,
            connect_timeout,
            transactional_id=transactional_id,
            transaction_timeout_ms=_TRANSACTION_TIMEOUT_MS,
            max_block_ms=int(connect_timeout * 1000),
            max_request_size=max_record_bytes + _MIB,
            batch_size=256 * 1024,
            allow_auto_create_topics=False,
            metrics_enabled=False,
            **OUTPUT_SERIALIZERS,  # and no compression: media are compressed
        )
        try:
            self._producer.init_transactions()
        except KafkaError as error:
            self.close()
            raise OperatorError(
                f"Kafka does not begin transactions ({error}): check that its transaction"
                f" coordinator is up and that this user may write with the id {transactional_id}"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

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
        sent = [self._send(output) for output in outputs]
        self._producer.flush(timeout=self._commit_timeout / 2)  # ends before the caller gives up
        for future in sent:
            future.get(timeout=0)  # a batch that failed does not fail the transaction by itself
        try:
            self._producer.commit_transaction()
        except KafkaError as error:
            if isinstance(error, _FENCED):
                raise
            raise LogError(
                UNKNOWN_OUTCOME, f"the commit failed: {error}", retriable=True
            ) from error

    def _send(self, output: Output) -> Any:
        partitions = len(self._producer.partitions_for(output.topic))
        return send(self._producer, output, placement(output, partitions))


_FENCED = (ProducerFencedError, InvalidProducerEpochError)


def _failed(error: BaseException) -> LogError:
    if isinstance(error, _FENCED):
        return LogError("fenced", "another one like this has begun meanwhile", retriable=False)
    return log_error(error, "appending failed")
