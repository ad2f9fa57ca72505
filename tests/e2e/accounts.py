"""Where the inputs of a site have ended, while workers come and go."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.e2e.site import Site
from worker.core.messages import Observation
from worker.core.ports import TopicPartition

# A transaction that was open at a crash hides what follows it until the broker gives it up.
OPEN_TRANSACTION_SECONDS = 90.0

Position = tuple[TopicPartition, int]
Ends = dict[TopicPartition, int]


@dataclass(frozen=True)
class Snapshot:
    """What was committed and what was in outputs when a worker had gone."""

    committed: dict[TopicPartition, int]
    observations: list[Observation]
    elsewhere: int  # records among the late events and dead letters

    @property
    def places(self) -> list[Position]:
        """The places of the inputs that are in an Observation of their own Moment."""
        return [
            (TopicPartition(each.topic, each.partition), each.offset)
            for observation in self.observations
            for each in observation.inputs
            if not each.carried
        ]

    @property
    def covered(self) -> set[Position]:
        """The same, each once."""
        return set(self.places)

    @property
    def lost(self) -> set[Position]:
        """Inputs that will never be read again and are in no output."""
        return positions(self.committed) - self.covered

    @property
    def repeats(self) -> bool:
        """Whether an input is in two Observations, or an Observation is there twice."""
        ids = {each.observation_id for each in self.observations}
        return len(self.covered) < len(self.places) or len(ids) < len(self.observations)


def positions(ends: Ends) -> set[Position]:
    """Return the place of each record before these ends."""
    return {(partition, offset) for partition, end in ends.items() for offset in range(end)}


def snapshot(site: Site) -> Snapshot:
    """Read what is there, again while an open transaction of a killed worker hides outputs."""
    deadline = time.monotonic() + OPEN_TRANSACTION_SECONDS
    while True:
        committed = site.committed()
        topics = site.config.topics
        elsewhere = [*site.read(topics.late_events), *site.read(topics.dead_letters)]
        taken = Snapshot(committed, site.observations(), len(elsewhere))
        if not taken.lost or time.monotonic() > deadline:
            return taken
        time.sleep(1)
