"""Child processes: they come up, tell why not, and never outlive us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from tests.services.require import require_program
from worker.demo.processes import Process, free_ports, listening
from worker.demo.services import LocalRedis, kafka_available, local_kafka, redis_available
from worker.errors import FailedRunError, OperatorError


def alive(pid: int) -> bool:
    """Whether it runs; one that ended and that nobody has asked about does not."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_free_ports_are_different_and_nobody_listens_on_them() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    assert not any(listening(port) for port in ports)


def test_a_child_that_ends_at_once_is_reported_with_its_last_words(tmp_path: Path) -> None:
    child = Process(["sh", "-c", "echo no such thing; exit 3"], tmp_path / "log")
    with pytest.raises(FailedRunError, match="no such thing"):
        child.wait_until(lambda: False, 5, "The service")


def test_a_child_that_never_gets_ready_is_ended(tmp_path: Path) -> None:
    child = Process(["sleep", "60"], tmp_path / "log")
    with pytest.raises(FailedRunError, match="not ready"):
        child.wait_until(lambda: False, 0.2, "The service")
    assert not alive(child.pid)


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    require_program("setpriv")
    script = (
        "import pathlib, sys, time\n"
        "from worker.demo.processes import Process\n"
        "child = Process(['sleep', '60'], pathlib.Path(sys.argv[1]))\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        while Path(f"/proc/{pid}/comm").read_text() != "sleep\n":  # the wish is not made yet
            time.sleep(0.01)
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(pid)


@pytest.mark.redis
def test_redis_serves_and_comes_back_empty_on_the_same_port(redis_server: LocalRedis) -> None:
    client = redis.Redis.from_url(redis_server.url)
    client.set("key", "value")
    redis_server.restart()
    assert client.get("key") is None
    client.close()


def test_without_the_programs_it_is_said_which_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    kafka, why_kafka = kafka_available()
    server, why_redis = redis_available()
    assert not kafka
    assert "java" in why_kafka
    assert not server
    assert "redis-server" in why_redis
    with pytest.raises(OperatorError, match="java"), local_kafka():
        pass
