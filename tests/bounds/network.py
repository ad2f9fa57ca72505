"""A TCP proxy on loopback that can be slow to answer, or stop passing anything on."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CHUNK = 64 * 1024
_PENDING = 64 * 1024  # bytes that the kernel may keep for us while nothing is passed on

Address = tuple[str, int]


class Proxy:
    """Passes bytes on, to `target` or to where clients ask it to (HTTP CONNECT).

    `delay` is in seconds, for each answer; while `open` is not set nothing is read or written.
    """

    def __init__(self, target: Address | None = None, delay: float = 0.0) -> None:
        self._target = target
        self.delay = delay
        self.open = threading.Event()
        self.open.set()
        self.passed = 0  # bytes, both ways
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Listen no more; connections end with their clients."""
        self.open.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target or _asked_for(client))
        except OSError:
            client.close()
            return
        for each in (client, server):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _PENDING)
        for source, sink, delay in ((client, server, False), (server, client, True)):
            threading.Thread(target=self._pump, args=(source, sink, delay), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                if is_answer and self.delay:
                    time.sleep(self.delay)
                self.open.wait()
                sink.sendall(data)
                self.passed += len(data)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def _asked_for(client: socket.socket) -> Address:
    """Read a CONNECT request, grant it, and return its address. Raises OSError."""
    request = b""
    while b"\r\n\r\n" not in request:
        if not (data := client.recv(_CHUNK)):
            raise ConnectionError("no request came")
        request += data
    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    host, _, port = request.split()[1].decode().rpartition(":")
    return host.strip("[]"), int(port)


@contextmanager
def proxy(target: Address | None = None, delay: float = 0.0) -> Iterator[Proxy]:
    """Run a proxy."""
    made = Proxy(target, delay)
    try:
        yield made
    finally:
        made.close()
