"""Hours in which nothing happens: what p-values are worth while light, sound and traffic change.

The world runs PACE times as fast as the Moments that show it. A day has busy and quiet hours, with
light, a shadow that wanders, and sound to match; beside that the picture slowly loses light and
contrast, as behind a lens that is getting dirty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tests.benchmarks.quality import measures, sounds
from tests.benchmarks.quality.features import Encoded
from tests.benchmarks.quality.incidents import Incident
from tests.benchmarks.quality.judged import BASELINE, NOW, Judged, judge
from tests.benchmarks.quality.material import HEIGHT, WIDTH, Array
from tests.benchmarks.quality.scenes import SCENES
from tests.benchmarks.quality.stream import Stream, Walker
from worker.feed.audio import encode_flac

HOURS, PACE = 2, 3
DAY_SECONDS = 3600.0
BUSIER = 0.8  # share of the traffic that comes and goes with the day
SHADOW, SHADOW_EDGE = 0.25, 9.0  # share of the light, pixels
LOST_LIGHT, LOST_CONTRAST = 0.25, 0.15  # shares at the end
LOUDER = 0.35  # nats by day, and as much less by night
RECORDED = 600  # seconds of sound that come again and again


@dataclass(frozen=True)
class Calm(Stream):
    """A stream in which nothing happens."""

    @classmethod
    def of(cls, scene_name: str) -> Calm:
        """Return that of a scene."""
        scene = next(each for each in SCENES if each.name == scene_name)
        return cls(scene, 0, (), HOURS * 3600 // PACE, DAY_SECONDS)

    def _sun(self, number: int) -> float:
        """Return how much it is day: 1 at noon, -1 at midnight."""
        return float(np.sin(2 * np.pi * number * PACE / self.day_seconds))

    @cached_property
    def _walkers(self) -> Sequence[Walker]:
        random = np.random.default_rng((self.seed, self.length, 7))
        sun = np.sin(2 * np.pi * np.arange(self.length * PACE) / self.day_seconds)
        comes = random.uniform(size=len(sun)) < self.scene.arrivals * (1 + BUSIER * sun)
        return [self._walker(float(time), random) for time in np.flatnonzero(comes)]

    def _people(self, number: int) -> int:
        return super()._people(number * PACE)

    def _view(self, number: int, part: int, incident: Incident | None) -> Array:
        image = super()._view(number * PACE, part, incident).astype(np.float32)
        edge = WIDTH * (0.5 + 0.4 * self._sun(number))
        x = np.arange(WIDTH, dtype=np.float32) + np.arange(HEIGHT, dtype=np.float32)[:, None] / 3
        image *= 1 - np.float32(SHADOW) / (1 + np.exp((x - edge) / SHADOW_EDGE))[..., None]
        worn = number / self.length
        image = image.mean() + (image - image.mean()) * np.float32(1 - LOST_CONTRAST * worn)
        return np.asarray((image * (1 - LOST_LIGHT * worn)).clip(0, 255).astype(np.uint8))

    @cached_property
    def _sound(self) -> Array:
        random = np.random.default_rng((self.seed, self.length, 8))
        return sounds.ambience(self.scene.ambience, RECORDED, random)

    def _flac(self, number: int) -> bytes:
        random = np.random.default_rng((self.seed, self.length, number, 9))
        begin = number % RECORDED * sounds.RATE
        heard = self._sound[begin : begin + sounds.RATE] * np.exp(LOUDER * self._sun(number))
        return encode_flac((heard + random.normal(0, 8e-4, len(heard))).astype(np.float32))


def calm_streams(part: str) -> list[Calm]:
    """Return one stream of each scene of a part."""
    return [Calm.of(scene.name) for scene in SCENES if scene.part == part]


def measured(streams: Sequence[Encoded]) -> dict[str, Any]:
    """Return by method how far p-values are from uniform ones, and the alerts at one an hour."""
    judged, _ = judge(streams)
    return {name: _said(judged, name) for name in (NOW, BASELINE)}


def _said(judged: Sequence[Judged], name: str) -> dict[str, Any]:
    p_values = [each.p_values[name] for each in judged]
    alerts = measures.alerts_while_normal(judged, p_values, measures.PER_HOUR)
    return {
        **asdict(measures.uniformity(np.concatenate(p_values))),
        "moments": sum(map(len, p_values)),
        "alerts": alerts,
        "worst_source_below_01": max(measures.uniformity(p).below_01 for p in p_values),
    }
