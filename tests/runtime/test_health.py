from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse

import pytest

from worker.errors import OperatorError
from worker.runtime.health import Health
from worker.runtime.http_server import ClientLimits, HealthServer

HOST = "127.0.0.1"
MAX_TICK_AGE = 300.0


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Probed:
    """A server, its health and the clock both go by."""

    clock: Clock = field(default_factory=Clock)
    health: Health = field(init=False)
    server: HealthServer = field(init=False)

    def __post_init__(self) -> None:
        self.health = Health(self.clock, MAX_TICK_AGE)
        self.server = serving(self.health)

    def get(self, path: str, accept: str = "") -> tuple[int, str]:
        return answer(self.server.port, "GET", path, accept)


def serving(
    health: Health,
    render: Callable[[str], tuple[bytes, str]] = lambda accept: (b"m 1\n", f"for {accept}"),
    limits: ClientLimits | None = None,
) -> HealthServer:
    return HealthServer(HOST, 0, health, render, limits or ClientLimits())


def ask(port: int, method: str, path: str, accept: str = "") -> HTTPResponse:
    connection = HTTPConnection(HOST, port, timeout=5)
    connection.request(method, path, headers={"Accept": accept} if accept else {})
    return connection.getresponse()


def answer(port: int, method: str, path: str, accept: str = "") -> tuple[int, str]:
    with ask(port, method, path, accept) as response:
        return response.status, response.read().decode()


def received(connection: socket.socket) -> bytes:
    """Everything until the server closes; a reset counts as a close."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


@pytest.fixture
def probed() -> Iterator[Probed]:
    probed = Probed()
    with probed.server:
        yield probed


def test_a_starting_worker_lives_but_is_neither_started_nor_ready(probed: Probed) -> None:
    assert probed.get("/startupz") == (503, "loads its models\n")
    assert probed.get("/livez") == (200, "starting\n")
    assert probed.get("/readyz")[0] == 503


def test_a_slow_start_is_the_startup_probes_business(probed: Probed) -> None:
    probed.clock.now += 10 * MAX_TICK_AGE
    assert probed.get("/livez")[0] == 200
    probed.health.started()
    assert probed.get("/startupz")[0] == 200
    assert probed.get("/livez")[0] == 200


def test_a_worker_lives_until_its_last_tick_is_too_old(probed: Probed) -> None:
    probed.health.started()
    probed.clock.now += 100
    probed.health.tick(probed.clock.now)
    probed.clock.now += MAX_TICK_AGE - 0.1
    assert probed.get("/livez") == (200, "last poll 299.9 s ago\n")
    probed.clock.now += 0.1
    assert probed.get("/livez") == (503, "last poll 300.0 s ago\n")
    probed.health.tick(probed.clock.now)
    assert probed.get("/livez")[0] == 200


def test_a_poll_loop_that_never_ticks_after_the_start_is_dead(probed: Probed) -> None:
    probed.health.started()
    probed.clock.now += MAX_TICK_AGE
    assert probed.get("/livez")[0] == 503


def test_a_worker_is_ready_once_started_and_a_member(probed: Probed) -> None:
    probed.health.ready(True, "")
    assert probed.get("/readyz") == (503, "loads its models\n")
    probed.health.started()
    assert probed.get("/readyz") == (200, "ready\n")
    probed.health.ready(False, "stopping")
    assert probed.get("/readyz") == (503, "stopping\n")


def test_metrics_are_rendered_for_what_the_scraper_accepts(probed: Probed) -> None:
    with ask(probed.server.port, "GET", "/metrics?x=1", "text/plain") as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "for text/plain"
        assert response.read() == b"m 1\n"


def test_only_the_known_paths_can_be_read_and_nothing_can_be_written(probed: Probed) -> None:
    port = probed.server.port
    assert answer(port, "GET", "/")[0] == 404
    assert answer(port, "GET", "/metrics/../../etc/passwd")[0] == 404
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        with ask(port, method, "/livez") as response:
            assert (response.status, response.headers["Allow"]) == (405, "GET")
    assert answer(port, "BREW", "/livez")[0] == 501


def test_the_answer_does_not_tell_which_python_runs(probed: Probed) -> None:
    with ask(probed.server.port, "GET", "/livez") as response:
        assert response.headers["Server"].strip() == "mmworker"


def test_too_large_a_request_is_not_read_to_its_end() -> None:
    limits = ClientLimits(request_bytes=1024)
    with serving(Health(Clock(), 1), limits=limits) as server:
        with socket.create_connection((HOST, server.port), timeout=5) as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\n" + b"x: y\r\n" * 400)
            assert b" 200 " not in received(connection)
        with socket.create_connection((HOST, server.port), timeout=5) as connection:
            head = b"GET /livez HTTP/1.1\r\nx: "
            connection.sendall(head + b"y" * (1024 - len(head)))
            assert b" 431 " in received(connection)
        assert answer(server.port, "GET", "/livez")[0] == 200


@pytest.mark.parametrize("sent", [b"", b"GET /livez HTTP/1.1\r\nx: "])
def test_a_client_that_drips_its_request_is_cut_off(sent: bytes) -> None:
    with serving(Health(Clock(), 1), limits=ClientLimits(seconds=0.4)) as server:
        with socket.create_connection((HOST, server.port), timeout=5) as connection:
            began = time.monotonic()
            connection.sendall(sent)
            try:
                while time.monotonic() - began < 3:
                    connection.sendall(b"x")
                    time.sleep(0.05)
            except (BrokenPipeError, ConnectionResetError):
                pass
        assert 0.3 < time.monotonic() - began < 2


def test_a_client_that_does_not_read_its_answer_is_cut_off() -> None:
    body = b"m 1\n" * 5_000_000  # more than the sockets' buffers hold
    rendered = threading.Event()

    def render(accept: str) -> tuple[bytes, str]:
        rendered.set()
        return body, "text/plain"

    limits = ClientLimits(clients=1, seconds=0.4)
    with (
        serving(Health(Clock(), 1), render, limits) as server,
        socket.create_connection((HOST, server.port), timeout=5) as connection,
    ):
        connection.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert rendered.wait(5)
        assert _soon(lambda: answer(server.port, "GET", "/livez")[0] == 200)  # its place is free
        assert len(received(connection)) < len(body)


def test_clients_are_served_at_once_up_to_a_number() -> None:
    together = threading.Barrier(3)

    def render(accept: str) -> tuple[bytes, str]:
        together.wait(5)  # passes only when two requests and the test are here at once
        return b"", "text/plain"

    statuses: list[int] = []
    with serving(Health(Clock(), 1), render, ClientLimits(clients=2)) as server:
        clients = [
            threading.Thread(
                target=lambda: statuses.append(answer(server.port, "GET", "/metrics")[0])
            )
            for _ in range(2)
        ]
        for client in clients:
            client.start()
        while together.n_waiting < 2:
            time.sleep(0.01)
        assert answer(server.port, "GET", "/livez")[0] == 503  # all places are taken
        together.wait(5)
        for client in clients:
            client.join()
        assert statuses == [200, 200]
        assert _soon(lambda: answer(server.port, "GET", "/livez")[0] == 200)


def test_one_address_cannot_keep_others_away() -> None:
    with serving(Health(Clock(), 1)) as server, ExitStack() as taken:
        for _ in range(64):
            source = ("127.0.0.2", 0)
            client = socket.create_connection((HOST, server.port), 5, source_address=source)
            taken.enter_context(client)
            client.sendall(b"GET /livez HTTP/1.1\r\n")  # and no more
        assert [answer(server.port, "GET", "/livez")[0] for _ in range(30)] == [200] * 30


def _soon(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_a_fault_in_one_answer_leaves_the_server_running(capfd: pytest.CaptureFixture[str]) -> None:
    def render(accept: str) -> tuple[bytes, str]:
        raise KeyError("broken")

    with serving(Health(Clock(), 1), render) as server:
        with socket.create_connection((HOST, server.port), timeout=5) as connection:
            connection.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            assert received(connection) == b""
        assert answer(server.port, "GET", "/livez")[0] == 200
    assert "http_request_failed" in "".join(capfd.readouterr())


def test_a_port_in_use_is_named_with_what_to_do(probed: Probed) -> None:
    port = probed.server.port
    with pytest.raises(OperatorError, match=rf"http\.port {port}: cannot listen there .*in use"):
        HealthServer(HOST, port, probed.health, lambda accept: (b"", ""))


def test_a_host_that_is_not_here_is_named() -> None:
    with pytest.raises(OperatorError, match=r"http\.host 192\.0\.2\.1"):
        HealthServer("192.0.2.1", 0, Health(Clock(), 1), lambda accept: (b"", ""))


def test_a_server_that_was_never_started_can_be_stopped(probed: Probed) -> None:
    serving(probed.health).stop()


def test_the_port_is_free_after_the_stop(probed: Probed) -> None:
    server = serving(probed.health)
    with server:
        assert answer(server.port, "GET", "/livez")[0] == 200
    again = HealthServer(HOST, server.port, probed.health, lambda accept: (b"", ""))
    with again:
        assert answer(again.port, "GET", "/livez")[0] == 200
