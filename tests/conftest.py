"""Real services for the tests that need them, each started once per session.

Where a service cannot be started here its tests are skipped, and the last lines name them; with
MMWORKER_REQUIRE_SERVICES=1 they fail instead.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.services.require import NOT_RUN, require
from worker.demo.services import (
    LocalKafka,
    LocalRedis,
    kafka_available,
    local_kafka,
    local_redis,
    redis_available,
)

# A slow machine is not a failure: speed belongs in the benchmark.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")


# The simulation has processes of its own: they work while what comes next waits for services.
_FIRST = ("simulation", "chaos", "e2e", "security", "contracts", "cli")
_TESTS = Path(__file__).parent


@pytest.fixture(scope="session")
def kafka_server() -> Iterator[LocalKafka]:
    require(*kafka_available())
    with local_kafka() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[LocalRedis]:
    require(*redis_available())
    with local_redis() as server:
        yield server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let those begin first that leave a core idle, so that none is at the end."""
    places = {name: place for place, name in enumerate(_FIRST)}

    def place(item: pytest.Item) -> int:
        return places.get(item.path.relative_to(_TESTS).parts[0], len(places))

    items.sort(key=place)


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outermost, so that its lines are the last
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter,
) -> Generator[None, None, None]:
    yield
    skipped = terminalreporter.getreports("skipped")
    names = [report.nodeid for report in skipped if NOT_RUN in str(report.longrepr)]
    for name in names:
        terminalreporter.write_line(f"not run: {name}")
