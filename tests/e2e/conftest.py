"""One worker that gets everything at once: good events, poison, late events and duplicates."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import pytest

from tests.e2e.footage import SECOND, by_second, camera, long_ago
from tests.e2e.poison import TEN_MB, Maker, Poison, wav
from tests.e2e.site import Site, running
from tests.e2e.stragglers import Straggler, stragglers
from worker.core.events import Modality, Record
from worker.core.messages import Observation
from worker.core.ports import Output
from worker.demo.services import LocalKafka

POISONED = "/cameras/poisoned"
TARDY = "/cameras/tardy"
SECONDS = 24  # of footage


@dataclass(frozen=True)
class Ingested:
    """What was sent to one worker, and what had become of it when it had ended."""

    poisons: list[Poison]
    good: list[Output]
    stragglers: list[Straggler]
    observations: list[Observation]
    dead_letters: list[Record]
    late_events: list[Record]
    exposition: str
    exit_code: int
    topics: dict[str, str]


@pytest.fixture(scope="session")
def ingested(kafka_server: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    site = Site(kafka_server, tmp_path_factory.mktemp("ingested"), partitions=2, largest=2 * TEN_MB)
    start = long_ago(time.time_ns() // 1000, 60)
    maker = Maker(POISONED, site.inputs, 2)
    poisons = maker.poisons(iter(range(start + SECOND // 3, start + 60 * SECOND, SECOND // 2)))
    streams = _wav_streams(maker, start)
    seconds = [site.outputs_of(s) for s in by_second(camera(POISONED, start, SECONDS))]
    others = [site.outputs_of(s) for s in by_second(camera(TARDY, start, SECONDS))]
    tardy = stragglers(others)
    pairs = [poisons[place : place + 2] for place in range(0, len(poisons), 2)]
    assert len(pairs) <= SECONDS
    parts = [
        [*good, *_outputs(bad), *other, *_outputs(tardy.get(number, ()))]
        for number, (good, bad, other) in enumerate(
            zip_longest(seconds, pairs, others, fillvalue=())
        )
    ]
    with running(site) as worker:
        sent = site.send([*parts, streams])
        worker.await_settled(sent)
        exposition = worker.metrics()
        exit_code = worker.terminate()
    topics = site.config.topics
    return Ingested(
        poisons=poisons,
        good=[output for part in (*seconds, *others, streams) for output in part],
        stragglers=[each for group in tardy.values() for each in group],
        observations=site.observations(),
        dead_letters=site.read(topics.dead_letters),
        late_events=site.read(topics.late_events),
        exposition=exposition,
        exit_code=exit_code,
        topics=site.inputs,
    )


def _outputs(records: Sequence[Poison | Straggler]) -> list[Output]:
    return [record.output for record in records]


def _wav_streams(maker: Maker, start: int) -> list[Output]:
    """Return sound from writers that could not seek back to fill in its size."""
    last = start + (SECONDS - 1) * SECOND + SECOND // 2
    return [
        maker.record(name, last, Modality.AUDIO, "audio/wav", wav(seconds=0.4, data_size=size))
        for name, size in (("size 0", 0), ("size unknown", 0xFFFFFFFF))
    ]
