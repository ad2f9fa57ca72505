from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.adapters.caching import TIMEOUT, Clock, cached
from tests.services.redis import answering, stopped
from tests.services.require import require
from worker.adapters.breaker import FAULTS, PAUSE_SECONDS
from worker.adapters.redis_cache import MAX_VALUE_BYTES, SLOW
from worker.core.ports import EmbeddingCache
from worker.demo.services import LocalRedis, local_redis, redis_available
from worker.errors import OperatorError

SLACK = 0.3  # for a loaded machine


@pytest.fixture(scope="module")
def server() -> Iterator[LocalRedis]:
    """A server of its own: it is stopped, filled and killed."""
    require(*redis_available())
    with local_redis() as running:
        yield running


@pytest.fixture
def admin(server: LocalRedis) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
        yield client


def timed(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


@pytest.mark.redis
class TestWithRedis:
    def test_what_was_put_is_got_in_the_order_of_the_keys(
        self, server: LocalRedis, admin: redis.Redis
    ) -> None:
        with cached(server.url) as made:
            cache: EmbeddingCache = made.cache
            cache.put_many({b"a": b"1", b"b\x00\xff": b"\x00\xff"})
            assert cache.get_many([b"b\x00\xff", b"c", b"a", b"a"]) == [
                b"\x00\xff", None, b"1", b"1"
            ]  # fmt: skip
            assert (made.count("hit"), made.count("miss")) == (3, 1)
            assert made.count("error") == made.count("bypass") == 0

    def test_values_live_under_the_prefix_and_for_the_time_to_live(
        self, server: LocalRedis, admin: redis.Redis
    ) -> None:
        with cached(server.url, ttl_seconds=60) as made:
            made.cache.put_many({b"a": b"1"})
        assert admin.keys() == [b"mmw:a"]
        remaining = admin.pttl("mmw:a")
        assert isinstance(remaining, int)
        assert 55_000 < remaining <= 60_000

    def test_nothing_is_asked_for_no_keys(self, server: LocalRedis) -> None:
        with cached(server.url) as made, stopped(server):
            assert made.cache.get_many([]) == []
            made.cache.put_many({})
            assert made.count("error") == 0

    def test_values_of_another_type_or_size_are_unknown_and_can_be_replaced(
        self, server: LocalRedis, admin: redis.Redis
    ) -> None:
        admin.rpush("mmw:list", "x")
        admin.set("mmw:empty", b"")
        admin.set("mmw:largest", b"x" * MAX_VALUE_BYTES)
        admin.set("mmw:larger", b"x" * (MAX_VALUE_BYTES + 1))
        admin.set("mmw:good", b"1")
        keys = [b"list", b"empty", b"largest", b"larger", b"good"]
        with cached(server.url) as made:
            values = made.cache.get_many(keys)
            assert values == [None, None, b"x" * MAX_VALUE_BYTES, None, b"1"]
            assert (made.count("hit"), made.count("miss"), made.count("error")) == (2, 3, 0)
            made.cache.put_many(dict.fromkeys(keys, b"2"))
            assert made.cache.get_many(keys) == [b"2"] * 5

    def test_a_huge_value_is_not_fetched(self, server: LocalRedis, admin: redis.Redis) -> None:
        admin.set("mmw:huge", b"x" * 20_000_000)
        sent_before = _bytes_sent(admin)
        with cached(server.url) as made:
            assert made.cache.get_many([b"huge"]) == [None]
        assert _bytes_sent(admin) - sent_before < 2 * MAX_VALUE_BYTES

    def test_a_full_redis_refuses_writes_but_is_still_read(
        self, server: LocalRedis, admin: redis.Redis
    ) -> None:
        admin.set("mmw:a", b"1")
        admin.config_set("maxmemory-policy", "noeviction")
        admin.config_set("maxmemory", 1)
        try:
            with cached(server.url) as made:
                for _ in range(2 * FAULTS):
                    made.cache.put_many({b"b": b"2"})
                    assert made.cache.get_many([b"a"]) == [b"1"]
                assert made.count("error") == 2 * FAULTS
                assert not made.degraded()
        finally:
            admin.config_set("maxmemory", 64 * 1024 * 1024)
            admin.config_set("maxmemory-policy", "allkeys-lru")

    def test_a_password_from_a_file_is_used(
        self, server: LocalRedis, admin: redis.Redis, tmp_path: Path
    ) -> None:
        path = tmp_path / "password"
        path.write_text("right\n", encoding="utf-8")
        admin.acl_setuser("embedder", enabled=True, passwords=["+right"], keys=["mmw:*"],
                          commands=["+@all"])  # fmt: skip
        url = server.url.replace("redis://", "redis://embedder@")
        with cached(url, password_file=path) as made:
            made.cache.put_many({b"a": b"1"})
            assert made.cache.get_many([b"a"]) == [b"1"]
        path.write_text("wrong\n", encoding="utf-8")
        with cached(url, password_file=path) as made:
            assert made.cache.get_many([b"a"]) == [None]
            assert made.count("error") == 1

    def test_a_killed_redis_costs_little_and_is_found_again(self, server: LocalRedis) -> None:
        with cached(server.url) as made:
            made.cache.put_many({b"a": b"1"})
            server.kill()
            assert timed(made.open_breaker) < FAULTS * TIMEOUT + SLACK
            assert made.degraded()
            assert made.count("error") == FAULTS
            assert made.cache.get_many([b"a", b"b"]) == [None, None]
            made.cache.put_many({b"a": b"1"})
            assert made.count("bypass") == 2
            server.restart()
            assert made.cache.get_many([b"a"]) == [None]
            assert made.count("bypass") == 3  # not before the pause is over
            made.clock.skipped += PAUSE_SECONDS
            assert made.cache.get_many([b"a"]) == [None]
            assert not made.degraded()
            made.cache.put_many({b"a": b"1"})
            assert made.cache.get_many([b"a"]) == [b"1"]

    @pytest.mark.parametrize("connected", [True, False])
    def test_a_redis_that_does_not_answer_costs_one_timeout_per_request(
        self, server: LocalRedis, connected: bool
    ) -> None:
        with cached(server.url) as made:
            if connected:
                made.cache.put_many({b"a": b"1"})
            with stopped(server):
                took = timed(lambda: made.cache.get_many([b"a"]))
                assert TIMEOUT - 0.02 < took < TIMEOUT + SLACK
                assert timed(lambda: made.cache.put_many({b"a": b"1"})) < TIMEOUT + SLACK
                assert timed(lambda: made.cache.get_many([b"a"])) < TIMEOUT + SLACK
                assert made.degraded()
                assert timed(lambda: made.cache.get_many([b"a"])) < 0.05
            made.clock.skipped += PAUSE_SECONDS
            made.cache.get_many([b"a"])
            assert not made.degraded()

    def test_an_answer_that_came_too_late_is_not_taken_for_the_next_one(
        self, server: LocalRedis, admin: redis.Redis
    ) -> None:
        admin.mset({"mmw:a": b"1", "mmw:b": b"2"})
        with cached(server.url) as made:
            assert made.cache.get_many([b"a"]) == [b"1"]
            with stopped(server):
                assert made.cache.get_many([b"a"]) == [None]
            time.sleep(0.05)
            assert made.cache.get_many([b"b"]) == [b"2"]

    def test_several_threads_share_one_cache(self, server: LocalRedis, admin: redis.Redis) -> None:
        wrong: list[object] = []
        with cached(server.url, timeout_seconds=2) as made:

            def work(number: int) -> None:
                for step in range(50):
                    key, value = b"%d-%d" % (number, step), b"v%d-%d" % (number, step)
                    made.cache.put_many({key: value})
                    if made.cache.get_many([key]) != [value]:
                        wrong.append(key)

            threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert wrong == []


def _bytes_sent(admin: redis.Redis) -> int:
    stats = admin.info("stats")
    assert isinstance(stats, dict)
    return int(stats["total_net_output_bytes"])


@pytest.mark.parametrize(
    "reply",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b":abc\r\n", b":7\r\n", b"$-5\r\n", b"*2\r\n:1\r\n:2\r\n",
     b"\x00\xff\r\n", b"$99999999999\r\nx"],
)  # fmt: skip
def test_a_server_that_talks_nonsense_is_only_a_fault_or_a_miss(reply: bytes) -> None:
    with answering(lambda connection: connection.sendall(reply)) as url, cached(url) as made:
        made.open_breaker()
        assert made.count("hit") == 0


def test_a_server_whose_answers_take_long_in_all_is_left_alone_although_it_answers() -> None:
    clock, patience = Clock(), 10.0  # seconds, so that a busy machine does not count

    def drip(connection: socket.socket) -> None:
        asked = True
        while asked:
            connection.sendall(b"$6\r\nval")
            clock.skipped += (SLOW + 1) * patience  # no single wait was too long
            connection.sendall(b"ue!\r\n")
            asked = bool(connection.recv(65536))

    with answering(drip) as url, cached(url, clock, timeout_seconds=patience) as made:
        for _ in range(FAULTS):
            assert made.cache.get_many([b"k"]) == [b"value!"]
        assert made.degraded()


def test_a_host_that_does_not_exist_is_only_a_fault() -> None:
    with cached("redis://127.0.0.1:1") as made:
        made.open_breaker()
        assert made.degraded()
        assert made.cache.get_many([b"k"]) == [None]
        assert made.count("bypass") == 1


def test_a_missing_password_file_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "absent"
    with (
        pytest.raises(OperatorError, match=r"redis\.password_file"),
        cached("redis://127.0.0.1:1", password_file=path),
    ):
        pass
