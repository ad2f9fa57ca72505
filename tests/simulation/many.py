"""Many seeds on all cores, and what they had in them altogether."""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field

from tests.simulation.check import Checked, check
from worker.runtime import logs


@dataclass
class Total:
    """What the seeds had in them; the failed ones with their stories."""

    seeds: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failed: dict[int, str] = field(default_factory=dict)
    digests: dict[int, str] = field(default_factory=dict)

    def add(self, checked: Checked) -> None:
        self.seeds += 1
        self.counts.update(checked.counts)
        self.digests[checked.seed] = checked.digest
        if checked.findings:
            self.failed[checked.seed] = checked.story

    def summary(self) -> str:
        told = [f"{self.seeds} seeds, {len(self.failed)} failed {sorted(self.failed)[:20]}"]
        told += [f"  {name}: {count}" for name, count in sorted(self.counts.items())]
        return "\n".join([*told, *list(self.failed.values())[:1]])


def processes() -> ProcessPoolExecutor:
    """Return processes of their own, since a simulation makes much of the worker smaller."""
    return ProcessPoolExecutor(
        os.cpu_count(),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=logs.configure,
        initargs=("error", "json"),  # else millions of lines are written that nobody reads
    )


def run_many(
    seeds: Iterable[int], pool: Executor, progress: Callable[[str], None] = lambda _: None
) -> Total:
    """Check all seeds in the processes of a pool."""
    total = Total()
    for checked in pool.map(check, seeds, chunksize=20):
        total.add(checked)
        progress(f"{total.seeds} seeds, {len(total.failed)} failed")
    return total
