"""TLS and rights, to a real Redis: the cache works with exactly two commands on its own keys.

Whatever is refused costs speed only: the worker goes on without Redis and says why.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from tests.adapters.caching import cached
from tests.services.certificates import Authority
from tests.services.guarded_redis import USER, GuardedRedis, guarded_redis
from tests.services.require import require
from worker.adapters.breaker import FAULTS
from worker.demo.services import redis_available

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedRedis]:
    require(*redis_available())
    directory = tmp_path_factory.mktemp("redis")
    with guarded_redis(directory, Authority(directory)) as server:
        yield server


def test_the_cache_works_with_exactly_its_rights(guarded: GuardedRedis) -> None:
    with cached(guarded.url(), password_file=guarded.password_file) as made:
        made.cache.put_many({b"a": b"1"})
        assert made.cache.get_many([b"a", b"b"]) == [b"1", None]
        assert not made.degraded()


@pytest.mark.parametrize("command", [("KEYS", "*"), ("GETRANGE", "other", "0", "1"), ("FLUSHDB",)])
def test_its_user_may_do_nothing_else(guarded: GuardedRedis, command: tuple[str, ...]) -> None:
    password = guarded.password_file.read_text().rstrip()
    with (
        redis.Redis.from_url(guarded.url(), password=password) as client,
        pytest.raises(redis.exceptions.NoPermissionError),
    ):
        client.execute_command(*command)


def test_nobody_comes_in_without_tls_or_a_name(guarded: GuardedRedis) -> None:
    plain = guarded.url().replace("rediss://", "redis://").partition("?")[0]
    nameless = guarded.url().replace(f"{USER}@", "")
    assert refusal(plain, guarded.password_file) == "ConnectionError"
    assert refusal(nameless) == "AuthenticationError"


def test_a_wrong_password_is_told(guarded: GuardedRedis, tmp_path: Path) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("wrong")
    assert refusal(guarded.url(), wrong) == "AuthenticationError"


def test_a_server_that_a_stranger_certified_is_not_trusted(
    guarded: GuardedRedis, tmp_path: Path
) -> None:
    stranger = guarded.url(Authority(tmp_path).file)
    assert refusal(stranger, guarded.password_file) == "ConnectionError"


@pytest.mark.parametrize(("command", "operation"), [("getrange", "get"), ("set", "put")])
def test_each_of_its_rights_is_needed_and_missed_in_a_line_of_the_log(
    guarded: GuardedRedis, command: str, operation: str
) -> None:
    with guarded.without(command):
        lines = told(guarded.url(), guarded.password_file)
    assert {"event": "redis_refuses", "operation": operation, "log_level": "warning"} in lines


def told(url: str, password_file: Path | None = None) -> list[MutableMapping[str, Any]]:
    """Return what the log says of a few attempts."""
    with capture_logs() as lines, cached(url, password_file=password_file) as made:
        for _ in range(FAULTS):
            made.cache.put_many({b"a": b"1"})
            assert made.cache.get_many([b"a"]) in ([None], [b"1"])
        assert made.count("error")
    return lines


def refusal(url: str, password_file: Path | None = None) -> str:
    """Return the reason for which Redis is left alone."""
    (line,) = (each for each in told(url, password_file) if each["event"] == "redis_left_alone")
    return str(line["reason"])
