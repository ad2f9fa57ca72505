"""Serves `/metrics`, `/startupz`, `/livez` and `/readyz` from threads of its own.

Only GET, one small request per connection; slow clients and too many of them are cut off. One
address has some of the places only, so that no single client keeps probes away.
"""

from __future__ import annotations

import io
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any, Self

import structlog

from worker.errors import OperatorError
from worker.runtime.health import Health

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Render = Callable[[str], tuple[bytes, str]]  # Accept header -> metrics, content type

_TEXT = "text/plain; charset=utf-8"
_BUSY = b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """What clients may take; `seconds` to send the request, and again to read the answer.

    `clients` are served at a time, of one address `of_one_address`.
    """

    clients: int = 32
    of_one_address: int = 8
    request_bytes: int = 16 * 1024
    seconds: float = 5.0


class HealthServer:
    """Listens from construction on, answers from `start` to `stop`. Usable as a context manager.

    With `port` 0 a free port is taken; `port` tells which. Raises OperatorError where the address
    cannot be listened on.
    """

    def __init__(
        self,
        host: str,
        port: int,
        health: Health,
        render: Render,
        limits: ClientLimits = ClientLimits(),
    ) -> None:
        try:
            self._server = _Server(host, port, health, render, limits)
        except OSError as error:
            raise OperatorError(
                f"http.host {host}, http.port {port}: cannot listen there"
                f" ({error.strerror or error}): stop what uses it, or set another port"
            ) from None
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="http", kwargs={"poll_interval": 0.1}
        )
        self._thread.daemon = True

    @property
    def port(self) -> int:
        """The port that is listened on."""
        port: int = self._server.server_address[1]
        return port

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more and free the port."""
        if self._thread.is_alive():  # else there is no loop that could end
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Places:
    """Who is served at a time, by address."""

    def __init__(self, limits: ClientLimits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._taken = Counter[str]()

    def take(self, address: str) -> bool:
        """Take a place; False where there is none for this address."""
        with self._lock:
            if (
                self._taken.total() >= self._limits.clients
                or self._taken[address] >= self._limits.of_one_address
            ):
                return False
            self._taken[address] += 1
            return True

    def free(self, address: str) -> None:
        """Give a place back."""
        with self._lock:
            self._taken -= Counter({address: 1})


class _Server(ThreadingHTTPServer):
    """Threads by client, up to a number."""

    daemon_threads = True
    request_queue_size = 32

    def __init__(
        self, host: str, port: int, health: Health, render: Render, limits: ClientLimits
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.health = health
        self.render = render
        self.limits = limits
        self._places = _Places(limits)
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Bind without the base's look-up of this host's name, which can take long."""
        TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Hand the client to a thread, or send it away where its places are taken."""
        if not self._places.take(client_address[0]):
            request.setblocking(False)
            with suppress(OSError):
                request.send(_BUSY)
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread was started, so none will free the place
            self._places.free(client_address[0])
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one client, then free its place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.free(client_address[0])

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base's
        """Log what went wrong; that a client went away is no fault."""
        if not isinstance(sys.exception(), OSError):
            _log.exception("http_request_failed")


class _Handler(BaseHTTPRequestHandler):
    """One request of one client."""

    server: _Server
    server_version = "mmworker"
    sys_version = ""

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self._bounded = _BoundedReader(self.connection, self.server.limits)
        self.rfile = io.BufferedReader(self._bounded, 1024)

    def do_GET(self) -> None:
        if self._bounded.exhausted:
            self._reply(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, b"the request is too large\n")
            return
        self.connection.settimeout(self.server.limits.seconds)
        path = self.path.partition("?")[0]
        if path == "/metrics":
            body, content_type = self.server.render(self.headers.get("Accept", ""))
            self._reply(HTTPStatus.OK, body, content_type)
            return
        health = self.server.health
        probes = {"/startupz": health.startup, "/livez": health.live, "/readyz": health.readiness}
        if path not in probes:
            self._reply(HTTPStatus.NOT_FOUND, b"not found\n")
            return
        answer = probes[path]()
        status = HTTPStatus.OK if answer.ok else HTTPStatus.SERVICE_UNAVAILABLE
        self._reply(status, f"{answer.why}\n".encode())

    def _refuse(self) -> None:
        self._reply(HTTPStatus.METHOD_NOT_ALLOWED, b"only GET\n")

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse  # noqa: N815 - as above

    def _reply(self, status: HTTPStatus, body: bytes, content_type: str = _TEXT) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Say nothing: probes come every few seconds, and their texts are a client's."""


class _BoundedReader(io.RawIOBase):
    """Reads a request, no more than so many bytes and no longer than until a deadline.

    A socket's own timeout would begin anew with every byte that drips in.
    """

    def __init__(self, connection: socket.socket, limits: ClientLimits) -> None:
        self._connection = connection
        self._left = limits.request_bytes
        self._deadline = time.monotonic() + limits.seconds

    @property
    def exhausted(self) -> bool:
        """Whether the request was larger than allowed; what is beyond is not read."""
        return self._left <= 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("the client is too slow")
        view = memoryview(buffer)[: self._left]
        if not len(view):
            return 0
        self._connection.settimeout(remaining)
        count = self._connection.recv_into(view)
        self._left -= count
        return count
