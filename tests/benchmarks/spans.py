"""What tracing costs a batch: `python -m tests.benchmarks.spans`, with a collector on loopback."""

from __future__ import annotations

import http.server
import multiprocessing
import os
import sys
import time
from multiprocessing.queues import Queue
from typing import Any

from worker.adapters.spans import SWITCHES, tracer_from_environment
from worker.core.tracing import Tracer
from worker.runtime.lineup import BATCH_MOMENTS

BATCHES = 500  # fewer than the exporter's queue holds
SENT_SECONDS = 10.0  # after which the exporter has sent what waited


class _Sink(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def _serve(ports: Queue[int]) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Sink)
    ports.put(server.server_port)
    server.serve_forever()


def _measured(tracer: Tracer, links: int) -> float:
    """Return the CPU time of one batch's span in milliseconds, sending included."""
    traceparents = [f"00-{number:032x}-{number:016x}-01" for number in range(1, links + 1)]
    began = time.process_time()
    for _ in range(BATCHES):
        tracer.batch(BATCH_MOMENTS, links, traceparents).end()
    time.sleep(SENT_SECONDS)
    return (time.process_time() - began) / BATCHES * 1000


def main() -> None:
    ports: Queue[int] = multiprocessing.Queue()
    collector = multiprocessing.Process(target=_serve, args=(ports,), daemon=True)
    collector.start()  # a daemon: it ends with us, after the exporter
    os.environ[SWITCHES[0]] = f"http://127.0.0.1:{ports.get()}"
    tracer = tracer_from_environment()
    for links in (0, BATCH_MOMENTS, 100):
        sys.stdout.write(f"{links} links: {_measured(tracer, links):.2f} ms of CPU per batch\n")


if __name__ == "__main__":
    main()
