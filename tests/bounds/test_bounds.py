"""The short proof of the bounds, on a real Kafka and Redis; `make bounds` is the long one."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from tests.bounds.backlog import MIB, padded
from tests.bounds.network import proxy
from tests.bounds.run import Load, trial
from tests.bounds.scenarios import blocked
from tests.e2e.footage import picture
from tests.services.require import require
from worker.core.events import ContentType
from worker.demo.services import kafka_available, redis_available
from worker.media.images import decode_image
from worker.media.limits import Limits

# On a busy machine a poll may be late for other reasons; a worker that hangs would be later still.
SHORT = Load(size=100 * MIB, cap=1536 * MIB, seconds=6, gap=20, small=True)


@pytest.mark.kafka
@pytest.mark.redis
@pytest.mark.timeout(600)
def test_a_worker_with_a_backlog_and_everything_slow_stays_small_keeps_polling_and_loses_nothing(
    tmp_path: Path,
) -> None:
    require(*kafka_available())
    require(*redis_available())
    with trial(SHORT, tmp_path) as tried:
        row = tried.run("all of these")
    assert row.inputs == row.ended > 500
    assert not row.problems, row.line()
    assert row.seen.looks > 10


def test_a_proxy_passes_everything_on_but_while_it_is_blocked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, proxy() as between:
        client = socket.create_connection(("127.0.0.1", between.port))
        client.sendall(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % server.getsockname()[1])
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")
        reached, _ = server.accept()
        client.sendall(b"one")
        assert reached.recv(100) == b"one"
        reached.settimeout(0.3)
        with blocked(between):
            client.sendall(b"two")
            with pytest.raises(TimeoutError):
                reached.recv(100)
        reached.settimeout(10)
        assert reached.recv(100) == b"two"
        client.close()
        reached.close()


def test_a_proxy_delays_answers_only() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        proxy(server.getsockname(), delay=0.5) as between,
        socket.create_connection(("127.0.0.1", between.port)) as client,
    ):
        reached, _ = server.accept()
        began = time.monotonic()
        client.sendall(b"ask")
        assert reached.recv(100) == b"ask"
        reached.sendall(b"answer")
        assert client.recv(100) == b"answer"
        assert time.monotonic() - began >= 0.5
        reached.close()


def test_a_padded_picture_is_as_large_as_asked_for_and_still_the_same_picture() -> None:
    plain, large = picture(3), padded(picture(3), b"a remark", 150_000)
    assert 150_000 <= len(large) < 150_100
    kind, limits = ContentType("image/jpeg"), Limits(10_000, 1, 100)
    assert (decode_image(large, kind, limits) == decode_image(plain, kind, limits)).all()
