"""Six cameras on three days each, and what goes on in front of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from tests.benchmarks.quality.captions import EVERY
from tests.benchmarks.quality.features import Encoded, FeatureStore
from tests.benchmarks.quality.incidents import Incident
from tests.benchmarks.quality.scenes import SCENES, Scene
from tests.benchmarks.quality.stream import START, Stream
from worker.cli.options import config_of
from worker.core.events import MODALITIES, Modality
from worker.core.moment import Moment
from worker.core.rfc3339 import seconds
from worker.models.bundles.inputs import SOURCES, read_input
from worker.runtime.assemble import build_encoders, build_pipeline
from worker.training.dataset import NORMAL, Dataset, Row, assemble

DAYS = 3
SPELLS = 48  # of a camera's day; each lasts as long as a caption holds
HAPPENING, WITNESSED, DISTURBED = 0.4, 0.6, 0.2  # shares
UNUSUAL = "unusual"
USED = (1, 3)  # Moments of a spell
_DAY = seconds(86_400)

# What a modality shows of an event, and what it shows while all is well.
EVIDENCE: Mapping[Modality, Sequence[str]] = {
    Modality.FRAME: ("object", "smoke", "fire", "crowd", "running"),
    Modality.CAPTION: ("danger_caption",),
    Modality.AUDIO: ("blast", "alarm", "shout"),
}
HARMLESS: Mapping[Modality, Sequence[str]] = {
    Modality.FRAME: ("sudden_light", "camera_gain", "sensor_noise", "recompression", "rain"),
    Modality.CAPTION: ("odd_paraphrase",),
    Modality.AUDIO: ("wind", "microphone_gain"),
}


@dataclass(frozen=True)
class Day(Stream):
    """A stream whose picture, sound and caption each show incidents of their own."""

    @classmethod
    def of(cls, scene: Scene, number: int) -> Day:
        """Return a camera's day."""
        incidents = tuple(_incidents(np.random.default_rng((number, SCENES.index(scene), 6))))
        return cls(scene, number, incidents, SPELLS * EVERY)

    def moments(self) -> Iterator[Moment]:
        """Yield its Moments in order."""
        parts = (self.alone(modality).moments() for modality in MODALITIES)
        for moments in zip(*parts, strict=True):
            by_modality = dict(zip(MODALITIES, moments, strict=True))
            events = [event for name, one in by_modality.items() for event in one.of(name)]
            told = by_modality[Modality.CAPTION]
            yield replace(told, events=tuple(events))

    def alone(self, modality: Modality) -> Stream:
        """Return the stream with the incidents of one modality."""
        kinds = (*EVIDENCE[modality], *HARMLESS[modality])
        shown = tuple(each for each in self.incidents if each.kind in kinds)
        return Stream(self.scene, self.seed, shown, self.length)

    def texts(self) -> list[str]:
        """Return what the caption says at each Moment."""
        told = [moment.carried for moment in self.alone(Modality.CAPTION).moments()]
        carried = (told[number] for number in self.numbers())
        return [event.payload.decode() for event in carried if event is not None]

    def labels(self) -> list[str]:
        """Return for each Moment whether any modality witnesses an event."""
        events = {kind for kinds in EVIDENCE.values() for kind in kinds}
        seen = [each for each in self.incidents if each.kind in events]
        return [
            UNUSUAL if any(each.covers(number) for each in seen) else NORMAL
            for number in self.numbers()
        ]

    def numbers(self) -> list[int]:
        """Return the Moments that are used: some of each spell, since they are much alike."""
        return [number for number in range(self.length) if number % EVERY in USED]


@dataclass(frozen=True, slots=True)
class Site:
    """The Moments of all cameras, N; `camera` and `day` (N,) are numbers."""

    days: tuple[Day, ...]
    data: Dataset
    camera: torch.Tensor
    day: torch.Tensor

    def __len__(self) -> int:
        return len(self.data)


def open_site(directory: Path) -> Site:
    """Return the site, rendered and encoded where nobody did before: that takes minutes."""
    config = config_of(None, {"models.store_embeddings": True})
    pipeline = build_pipeline(config, build_encoders(config))
    store = FeatureStore(directory, pipeline)
    days = [Day.of(scene, number) for number in range(DAYS) for scene in SCENES]
    rows = [row for day in days for row in _rows(day, store.encoded(day))]
    return Site(
        days=tuple(days),
        data=assemble(rows, [label for day in days for label in day.labels()]),
        camera=_numbers(days, lambda day: SCENES.index(day.scene)),
        day=_numbers(days, lambda day: day.seed),
    )


def _rows(day: Day, encoded: Encoded) -> Iterator[Row]:
    names = [names[0] for names in SOURCES.values()]
    for number in day.numbers():
        read = {name: read_input(encoded.at(number), name) for name in names}
        start = START + day.seed * _DAY + seconds(number)
        inputs = {name: value for name, value in read.items() if value is not None}
        yield Row(day.source, start, start + seconds(1), inputs)


def _numbers(days: Sequence[Day], number: Callable[[Day], int]) -> torch.Tensor:
    return torch.tensor([number(day) for day in days]).repeat_interleave(SPELLS * len(USED))


def _incidents(random: np.random.Generator) -> Iterator[Incident]:
    """Yield what each modality shows, spell by spell; an event is witnessed by at least one."""
    for spell in range(SPELLS):
        happens = random.uniform() < HAPPENING
        witnesses: set[Modality] = set()
        while happens and not witnesses:
            witnesses = {each for each in MODALITIES if random.uniform() < WITNESSED}
        for modality in MODALITIES:
            kinds = EVIDENCE[modality] if modality in witnesses else HARMLESS[modality]
            draw, share = int(random.integers(1 << 30)), random.uniform()
            if modality in witnesses or share < DISTURBED:
                kind = kinds[draw % len(kinds)]
                yield Incident(kind, spell * EVERY, (spell + 1) * EVERY, draw)
