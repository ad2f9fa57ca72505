"""One worker process: started, watched until it is ready, asked for its metrics, stopped."""

from __future__ import annotations

import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import yaml

from tests.benchmarks.measure import cpu_seconds_of
from worker.config import Config
from worker.demo.processes import Process
from worker.demo.tally import read_tally
from worker.errors import FailedRunError

_READY_SECONDS = 120.0


class WorkerProcess:
    """`mmworker run`; a context manager that is entered when the worker is ready."""

    def __init__(self, config: Config, directory: Path, name: str) -> None:
        self._url = f"http://{config.http.host}:{config.http.port}"
        self._log = directory / f"worker-{name}.log"
        self._file = directory / f"worker-{name}.yaml"
        values = config.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        self._file.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")

    def __enter__(self) -> Self:
        began = time.monotonic()
        command = [sys.executable, "-m", "worker", "run", "--config", str(self._file)]
        self._process = Process(command, self._log)
        self._process.wait_until(self._is_ready, _READY_SECONDS, "the worker")
        self.ready_seconds = time.monotonic() - began
        self.ready_cpu_seconds = cpu_seconds_of(self.pid)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop()

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def metrics(self) -> str:
        """Return the worker's own metrics. Raises FailedRunError where it does not answer."""
        body = self._get("/metrics")
        if body is None:
            raise FailedRunError(f"the worker does not answer: {self._process.last_lines()}")
        return body

    def _is_ready(self) -> bool:
        return self._get("/readyz") is not None

    def _get(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(self._url + path, timeout=5) as answer:
                body: bytes = answer.read()
                return body.decode()
        except (OSError, urllib.error.URLError):
            return None


def await_rest(workers: Sequence[WorkerProcess], timeout: float) -> None:
    """Return when every record that they read has ended in its one place.

    Raises FailedRunError where that takes longer than `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while open_ := [
        t for w in workers if (t := read_tally(w.metrics())).buffered or not t.reconciles
    ]:
        if time.monotonic() > deadline:
            raise FailedRunError(f"the worker does not come to rest: {open_[0].counts()}")
        time.sleep(1)
