"""Ends the transactions that a dead member of the group has left open.

Until then its successor sees neither the last committed offsets nor the records behind them; the
brokers themselves would wait for the transaction's timeout, a minute.
"""

from __future__ import annotations

import structlog
from kafka import KafkaAdminClient

from worker.adapters.kafka.connect import CONNECT_SECONDS, connect
from worker.adapters.kafka.transactions import transactional_producer
from worker.config import KafkaSettings

OPEN_MS = 4000  # the longest that a transaction of a live member is given; usual ones take 20

log = structlog.get_logger(__name__)


def transactional_prefix(group: str) -> str:
    """Return what the transactional ids of a group begin with."""
    return f"{group}."


def end_open_transactions(settings: KafkaSettings) -> None:
    """Take over the id of each transaction of the group that is open for long, which aborts it.

    A member that lives after all loses its session by that, and nothing else. Raises KafkaError,
    and OperatorError where no broker answers.
    """
    prefix = transactional_prefix(settings.group_id)
    admin = connect(KafkaAdminClient, settings, CONNECT_SECONDS)
    try:
        listed = admin.list_transactions(state_filters=["Ongoing"], duration_filter_ms=OPEN_MS)
    finally:
        admin.close()
    for found in (each for listing in listed.values() for each in listing):
        if found.transactional_id.startswith(prefix):
            log.warning("ending a transaction that stays open", transaction=found.transactional_id)
            _take_over(settings, found.transactional_id)


def _take_over(settings: KafkaSettings, transactional_id: str) -> None:
    producer = transactional_producer(settings, transactional_id)
    try:
        producer.init_transactions()
    finally:
        producer.close(timeout=2)
