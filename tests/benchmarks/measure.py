"""Clocks, and what the machine and the worker's process say of themselves (Linux)."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from worker.demo.tally import read_tally
from worker.errors import FailedRunError
from worker.models.processor import this_processor

_LIBRARIES = ("torch", "openvino", "numpy", "kafka-python", "redis", "pillow", "simplejpeg")
_ROOT = Path(__file__).parents[2]
_TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Run:
    """One pass over the backlog. CPU seconds are those of the process under test."""

    moments: int
    frames: int  # read
    frames_encoded: int
    wall_seconds: float
    cpu_seconds: float
    stage_seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def moments_per_second(self) -> float:
        """The rate on the wall clock."""
        return self.moments / self.wall_seconds

    @property
    def cpu_ms_per_moment(self) -> float:
        """What a Moment costs, whoever else uses the machine."""
        return 1000 * self.cpu_seconds / self.moments


class Stopwatch:
    """Wall and CPU seconds since it was made; `cpu` reads a process's CPU seconds so far."""

    def __init__(self, cpu: Callable[[], float] = time.process_time) -> None:
        self._cpu = cpu
        self._cpu_before, self._began = cpu(), time.monotonic()

    def read(self) -> tuple[float, float]:
        """Return (wall, CPU) seconds."""
        return time.monotonic() - self._began, self._cpu() - self._cpu_before


class Middle:
    """Times the middle of a run, in which its pace is steady: joining and ending are left out.

    It is from the first commit after a tenth of all Moments to the first one after nine tenths.
    `cpu` reads CPU seconds so far.
    """

    def __init__(self, moments: int, cpu: Callable[[], float] = time.process_time) -> None:
        self._moments, self._cpu = moments, cpu
        self._began: tuple[int, Stopwatch] | None = None
        self._ended: tuple[float, float] | None = None

    def see(self, visible: int) -> None:
        """Note that so many Moments are committed now."""
        if self._began is None and visible >= self._moments / 10:
            self._began = visible, Stopwatch(self._cpu)
        if self._began is None or self._ended is not None or visible < self._moments * 9 / 10:
            return
        before, watch = self._began
        if visible > before:
            share = (visible - before) / self._moments
            wall, cpu = watch.read()
            self._ended = wall / share, cpu / share

    def read(self) -> tuple[float, float]:
        """Return the (wall, CPU) seconds that all Moments take at that pace.

        Raises FailedRunError where all of them became visible at once.
        """
        if self._ended is None:
            raise FailedRunError("too few Moments for a pace: play more of them")
        return self._ended


def counted(exposition: str, bare: Run, wall: float, cpu: float) -> Run:
    """Return a worker's run over the same Moments as `bare`, with what its metrics say of it.

    Raises FailedRunError where records ended anywhere but in Moments, or are unaccounted for.
    """
    tally = read_tally(exposition)
    lost = {name: n for name, n in tally.outcomes.items() if name != "paired" and n}
    if lost or not tally.reconciles:
        raise FailedRunError(f"not every record became part of a Moment: {tally.counts()}")
    return replace(
        bare, wall_seconds=wall, cpu_seconds=cpu, stage_seconds=dict(tally.stage_seconds)
    )


def cpu_seconds_of(pid: int) -> float:
    """Return the CPU seconds that all threads of a process have used (man 5 proc, stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK


def peak_bytes_of(pid: int) -> int:
    """Return the largest resident size that a process ever had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"the kernel does not tell the resident size of {pid}")


def machine() -> dict[str, Any]:
    """Return what a reader needs to judge the numbers by."""
    return {
        "processor": this_processor().model,
        "cores": this_processor().cores,
        "bfloat16": this_processor().bfloat16,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
        "load_average": os.getloadavg(),
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that bear on speed."""
    found = {name: version(name) for name in _LIBRARIES}
    return {"python": platform.python_version(), "worker": version("multimodal-worker"), **found}


def circumstances() -> dict[str, Any]:
    """Return what each file of results says of where it comes from."""
    return {"machine": machine(), "versions": versions(), "commit": commit()}


def commit() -> str:
    """Return the commit that is checked out, with a + where files differ from it."""
    head, changes = _git("rev-parse", "--short=12", "HEAD"), _git("status", "--porcelain")
    return f"{head}{'+' if changes else ''}" if head else "unknown"


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return done.stdout.strip()
