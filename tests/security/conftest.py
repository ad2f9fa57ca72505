"""One guarded broker for all of these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services.grants import Grants
from tests.services.guarded_kafka import USER, GuardedKafka, guarded_kafka
from tests.services.require import require
from worker.demo.services import kafka_available


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedKafka]:
    require(*kafka_available())
    with guarded_kafka(tmp_path_factory.mktemp("guarded")) as broker:
        yield broker


@pytest.fixture
def grants(guarded: GuardedKafka) -> Iterator[Grants]:
    """The rights of the worker's user; none is left behind."""
    grants = Grants(guarded.server, USER)
    try:
        yield grants
        grants.take_all()
    finally:
        grants.close()
