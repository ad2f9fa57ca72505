"""A worker process under observation: how large it gets, how often it polls, what it says."""

from __future__ import annotations

import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.measure import peak_bytes_of
from tests.e2e.site import total, write_config
from worker.config import Config
from worker.demo.processes import Process
from worker.demo.tally import Tally, read_tally

_INTERVAL = 0.2  # seconds between two looks
_READY_SECONDS = 600.0
_BUFFER = 'mmworker_buffer_fill_ratio{buffer="'


@dataclass
class Seen:
    """What was seen from outside. `longest_gap` in seconds: the age of the last poll at a look."""

    peak_bytes: int = 0
    longest_gap: float = 0.0
    looks: int = 0
    rebalances: float = 0.0
    commit_failures: float = 0.0
    memory_was_full: bool = False
    fullest: dict[str, float] | None = None


class Watched:
    """The process and a thread that looks at it. `seen` is complete after `stop`."""

    def __init__(self, config: Config, directory: Path, arguments: Sequence[str]) -> None:
        file = directory / "mmworker.yaml"
        write_config(config, file)
        self._url = f"http://{config.http.host}:{config.http.port}"
        command = [sys.executable, "-m", "tests.bounds.worker_process", str(file), *arguments]
        self.process = Process(command, directory / "worker.log")
        self.seen = Seen(fullest={})
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def await_ready(self) -> None:
        """Return when it is a member; from then on it is looked at."""
        self.process.wait_until(self._is_ready, _READY_SECONDS, "the worker")
        self._thread.start()

    def wait_for(self, condition: Callable[[Tally], bool], seconds: float, what: str) -> None:
        """Wait until its counts are so. Raises FailedRunError, with the end of its log."""

        def holds() -> bool:
            time.sleep(_INTERVAL)
            text = self._get("/metrics")
            return text is not None and condition(read_tally(text))

        self.process.wait_until(holds, seconds, what)

    def stop(self) -> None:
        """End the worker in an orderly way."""
        if self._thread.ident is not None:
            self._over.set()
            self._thread.join()
        self.process.stop()

    def _is_ready(self) -> bool:
        return self._get("/readyz") is not None

    def _watch(self) -> None:
        while not self._over.wait(_INTERVAL):
            text = self._get("/metrics")
            if text is not None:
                self._note(text, time.time())

    def _note(self, text: str, now: float) -> None:
        seen = self.seen
        seen.looks += 1
        seen.peak_bytes = peak_bytes_of(self.process.pid)
        polled = total(text, "mmworker_last_poll_timestamp_seconds")
        seen.longest_gap = max(seen.longest_gap, now - polled)
        seen.rebalances = total(text, "mmworker_rebalances_total")
        seen.commit_failures = total(text, "mmworker_commit_failures_total")
        seen.memory_was_full |= total(text, 'mmworker_degraded{component="memory"}') > 0
        assert seen.fullest is not None
        for line in text.splitlines():
            if line.startswith(_BUFFER):
                name, share = line.removeprefix(_BUFFER).split('"} ')
                seen.fullest[name] = max(seen.fullest.get(name, 0.0), float(share))

    def _get(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(self._url + path, timeout=5) as answer:
                body: bytes = answer.read()
                return body.decode()
        except OSError:
            return None


@contextmanager
def watched(config: Config, directory: Path, arguments: Sequence[str]) -> Iterator[Watched]:
    """Run a worker; it is gone at the end."""
    worker = Watched(config, directory, arguments)
    try:
        yield worker
    finally:
        worker.stop()
