"""Child processes that serve on loopback and never outlive us."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from worker.errors import FailedRunError

_LOG_LINES = 12
_STOP_SECONDS = 15.0


def free_ports(count: int) -> list[int]:
    """Return TCP ports of the loopback interface that nobody listens on now."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


class Process:
    """One child process, its output in a log file. It is ended by its id, and when we end."""

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._name = Path(command[0]).name
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                _dies_with_us(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
            )

    @property
    def pid(self) -> int:
        """The id of the child."""
        return self._process.pid

    def wait_until(self, ready: Callable[[], bool], timeout: float, what: str) -> None:
        """Return when `ready` says so. Raises FailedRunError, with the end of the log.

        `timeout` is in seconds.
        """
        deadline = time.monotonic() + timeout
        while not ready():
            if self._process.poll() is not None:
                raise FailedRunError(f"{what} ended at once: {self.last_lines()}")
            if time.monotonic() > deadline:
                self.kill()
                raise FailedRunError(
                    f"{what} was not ready in {timeout:.0f} s: {self.last_lines()}"
                )
            time.sleep(0.05)

    def stop(self) -> None:
        """Ask the child to end; after a while insist."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End the child without any chance to clean up."""
        self._process.kill()
        self._process.wait()

    def last_lines(self) -> str:
        """Return the end of what the child has written."""
        lines = self._log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        return "\n  ".join([f"the last lines of {self._log} are", *lines])


def listening(port: int) -> bool:
    """Return whether somebody accepts connections on this loopback port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _dies_with_us(command: Sequence[str]) -> list[str]:
    """Return the command with a wish to the kernel to end it when the thread that starts it ends.

    `setpriv` replaces itself by the command, so the process id is the command's. Should we be
    killed within the few milliseconds until then, the child stays.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *command] if setpriv else list(command)
