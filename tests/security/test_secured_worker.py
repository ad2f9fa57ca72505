"""A whole worker with TLS, passwords and the least rights; and nothing of it can be seen outside.

It is killed, and its successor goes on: what recovery reads and ends is within its rights, too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.e2e.footage import by_second, camera, long_ago
from tests.e2e.site import Site, WorkerProcess, running, total
from tests.e2e.stragglers import stragglers
from tests.services import guarded_kafka, guarded_redis
from tests.services.grants import Grants
from tests.services.guarded_kafka import GuardedKafka
from tests.services.guarded_redis import guarded_redis as start_redis
from tests.services.require import require
from worker.adapters.kafka.rights import worker_rights
from worker.cli.config import app as config
from worker.demo.services import redis_available

pytestmark = [pytest.mark.kafka, pytest.mark.redis, pytest.mark.timeout(300)]

SOURCE = "/cameras/gate"
SECONDS = 30  # of footage
PASSWORDS = (guarded_kafka.PASSWORD, guarded_redis.PASSWORD)


@dataclass(frozen=True)
class Told:
    """What a worker and its command line let others see, and what became of the events."""

    seen: dict[str, str]
    observations: int
    dead_letters: int
    late_events: int
    cached: float
    exit_code: int


@pytest.fixture(scope="module")
def site(guarded: GuardedKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One user with exactly the rights that are listed."""
    require(*redis_available())
    directory = tmp_path_factory.mktemp("secured")
    login = guarded.scram().model_dump(exclude_defaults=True)
    with start_redis(directory, guarded.authority) as redis:
        settings = {f"kafka.{key}": value for key, value in login.items()}
        settings |= {"redis.url": redis.url(), "redis.password_file": redis.password_file}
        settings |= {"kafka.session_timeout_seconds": 3, "log.level": "debug"}
        made = Site(guarded.server, directory, settings)
        grants = Grants(guarded.server, guarded_kafka.USER)
        grants.give(worker_rights(made.config.topics, made.config.kafka.group_id))
        yield made
        grants.take_all()
        grants.close()


@pytest.fixture(scope="module")
def told(site: Site) -> Told:
    footage = camera(SOURCE, long_ago(time.time_ns() // 1000, 60), SECONDS)
    seconds = [site.outputs_of(part) for part in by_second(footage)]
    late = [each.output for group in stragglers(seconds).values() for each in group]
    nameless = replace(seconds[0][0], headers=())
    with running(site) as first:
        first.await_settled(site.send([*seconds[:20], late]))
        first.kill()
    with running(site) as second:
        sent = site.send([*seconds[20:], [nameless]])
        second.await_settled(sent)
        seen = looked_at(site, second)
        exit_code = second.terminate()
    topics = site.config.topics
    return Told(
        seen={"log": second.log, **seen},
        observations=len(site.observations()),
        dead_letters=len(site.read(topics.dead_letters)),
        late_events=len(site.read(topics.late_events)),
        cached=total(seen["metrics"], 'mmworker_cache_requests_total{result="miss"}'),
        exit_code=exit_code,
    )


def looked_at(site: Site, worker: WorkerProcess) -> dict[str, str]:
    """Return what can be seen of a worker while it runs."""
    file = str(site.directory / "mmworker.yaml")
    return {
        "metrics": worker.metrics(),
        "process list": Path(f"/proc/{worker.pid}/cmdline").read_text().replace("\0", " "),
        "environment": Path(f"/proc/{worker.pid}/environ").read_text().replace("\0", " "),
        "config show": CliRunner().invoke(config, ["show", "--json", "--config", file]).stdout,
        "config check": CliRunner().invoke(config, ["check", "--config", file]).stdout,
    }


def test_it_judges_sets_aside_and_goes_on_after_a_kill(told: Told) -> None:
    assert told.exit_code == 0
    assert told.observations >= SECONDS
    assert told.dead_letters == 1
    assert told.late_events > 0
    assert told.cached > 0


@pytest.mark.parametrize(
    "place", ["log", "metrics", "process list", "environment", "config show", "config check"]
)
def test_no_password_can_be_seen_in(told: Told, place: str) -> None:
    assert told.seen[place]
    for password in PASSWORDS:
        assert password not in told.seen[place]


def test_the_names_of_the_files_are_seen_so_that_the_search_looked_at_the_right_worker(
    told: Told,
) -> None:
    assert "redis-password" in told.seen["config show"]
    assert "mmworker.yaml" in told.seen["process list"]
    assert "started" in told.seen["log"]
