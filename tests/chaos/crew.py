"""The worker processes of a run: started, killed, halted, and started again when they end."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tests.chaos.worker_process import CONTEXT, KillPlan, serve

_PRELOAD = ["tests.chaos.worker_process", "worker.cli.service"]
_STOP_SECONDS = 90.0
KILLED = -signal.SIGKILL


@dataclass
class WorkerHandle:
    """One process, and the means to let it die at a step."""

    process: ForkServerProcess
    plan: KillPlan
    log: Path
    halted: bool = False

    @property
    def pid(self) -> int:
        return self.process.pid or 0

    @property
    def is_alive(self) -> bool:
        return self.process.is_alive()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        if self.is_alive:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.join()


@dataclass
class Crew:
    """Keeps `size` workers going. `ended` tells how those ended that were not to."""

    config: Path
    directory: Path
    size: int
    transaction_timeout: float
    members: list[WorkerHandle] = field(default_factory=list)
    kills: int = 0
    ended: list[str] = field(default_factory=list)
    _started: int = 0

    def __post_init__(self) -> None:
        CONTEXT.set_forkserver_preload(_PRELOAD)

    def tend(self) -> None:
        """Replace those that have ended."""
        for member in [one for one in self.members if not one.is_alive]:
            self.members.remove(member)
            if member.process.exitcode == KILLED:
                self.kills += 1
            else:
                self.ended.append(f"exit {member.process.exitcode}: {last_line(member.log)}")
        while len(self.members) < self.size:
            self.start()

    def start(self) -> WorkerHandle:
        """Add a worker."""
        self._started += 1
        log = self.directory / f"worker-{self._started:03d}.log"
        plan = KillPlan()
        arguments = (self.config, log, plan, self.transaction_timeout)
        process = CONTEXT.Process(target=serve, args=arguments, daemon=True)
        process.start()
        self.members.append(WorkerHandle(process, plan, log))
        return self.members[-1]

    def leave(self, member: WorkerHandle) -> None:
        """Let a worker end in an orderly way, and wait until it has."""
        self.members.remove(member)
        member.signal(signal.SIGTERM)
        member.process.join(_STOP_SECONDS)
        if member.process.exitcode != 0:
            self.ended.append(f"SIGTERM, then {member.process.exitcode}: {last_line(member.log)}")
            member.kill()

    def stop(self) -> list[str]:
        """End all in an orderly way; return how those ended that did not."""
        before = len(self.ended)
        for member in self.members:
            member.signal(signal.SIGTERM)
        for member in list(self.members):
            self.leave(member)
        return self.ended[before:]

    def kill_all(self) -> None:
        """End what is left."""
        for member in self.members:
            member.kill()


def last_line(log: Path) -> str:
    """Return the end of a log."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return lines[-1][:300] if lines else "(nothing was logged)"
