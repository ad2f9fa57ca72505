"""Plays a plan with small queues, whose lengths are watched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from unittest.mock import patch

from tests.simulation.plan import Plan
from tests.simulation.run import Run, Simulation
from worker.core.events import Record
from worker.core.merge import Merger
from worker.core.ports import TopicPartition
from worker.runtime import intake


def play(plan: Plan) -> Run:
    """Run the plan to its end."""
    with _watched_mergers(plan) as lengths:
        run = Simulation(plan).run()
    run.longest_queue = max(lengths)
    return run


@contextmanager
def _watched_mergers(plan: Plan) -> Iterator[set[int]]:
    """Let partitions be paused early, as they are with much larger streams; the queues' lengths."""
    lengths = {0}

    class Watched(Merger):
        def push(self, partition: TopicPartition, records: Iterable[Record]) -> None:
            super().push(partition, records)
            lengths.add(self.sizes()[partition][0])

    with patch.object(intake, "Merger", partial(Watched, max_records=plan.max_merged)):
        yield lengths
