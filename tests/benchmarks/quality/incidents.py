"""What happens when: anomalies of every kind and harmless nuisances, spread evenly over streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

WARM_UP = 200  # Moments of a stream before anything happens
CALM = (7, 13)  # normal Moments between two incidents
ANOMALIES_EACH, NUISANCES_EACH = 11, 6  # of a stream

# Kind of anomaly -> (group, Moments that it lasts).
ANOMALIES: Mapping[str, tuple[str, int]] = {
    "object": ("visual", 8),
    "small_object": ("visual", 8),
    "off_lane": ("visual", 8),
    "running": ("visual", 6),
    "crowd": ("visual", 8),
    "smoke": ("visual", 8),
    "fire": ("visual", 8),
    "covered": ("tamper", 8),
    "dark": ("tamper", 8),
    "defocused": ("tamper", 8),
    "moved": ("tamper", 8),
    "frozen": ("tamper", 8),
    "blast": ("audio", 3),
    "alarm": ("audio", 6),
    "shout": ("audio", 4),
    "glass": ("audio", 2),
    "dead_microphone": ("audio", 8),
    "danger_caption": ("text", 10),
    "foreign_caption": ("text", 10),
    "contradiction": ("cross", 10),
    "fading_in": ("drift", 20),
    "rising_hum": ("drift", 20),
}
# Kind of nuisance -> the modality that it is in.
NUISANCES: Mapping[str, str] = {
    "rain": "picture and sound",
    "slow_light": "picture",
    "sudden_light": "picture",
    "camera_gain": "picture",
    "sensor_noise": "picture",
    "recompression": "picture",
    "cloud_shadow": "picture",
    "odd_paraphrase": "caption",
    "microphone_gain": "sound",
    "wind": "sound",
}
NUISANCE_MOMENTS = 10
GROUPS = ("visual", "tamper", "audio", "text", "cross", "drift")


@dataclass(frozen=True, slots=True)
class Incident:
    """One of them, in the Moments [start, end). `draw` makes equal kinds look different."""

    kind: str
    start: int
    end: int
    draw: int

    @property
    def is_nuisance(self) -> bool:
        """Whether it must not alert."""
        return self.kind in NUISANCES

    def covers(self, moment: int) -> bool:
        """Tell whether it is going on."""
        return self.start <= moment < self.end


def plan(place: int, streams: int, seed: int) -> list[Incident]:
    """Return the incidents of stream `place` of `streams`; over all of them each kind is as usual.

    A part's streams share one shuffled round of kinds, each taking up where the one before ends.
    """
    random = np.random.default_rng((seed, place, 1))
    kinds = _share(list(ANOMALIES), ANOMALIES_EACH, place, seed)
    kinds += _share(list(NUISANCES), NUISANCES_EACH, place, seed)
    random.shuffle(kinds)
    incidents: list[Incident] = []
    at = WARM_UP
    for kind in kinds:
        at += int(random.integers(*CALM))
        length = ANOMALIES[kind][1] if kind in ANOMALIES else NUISANCE_MOMENTS
        incidents.append(Incident(kind, at, at + length, int(random.integers(1 << 30))))
        at += length
    return incidents


def moments(incidents: list[Incident]) -> int:
    """Return how many Moments a stream with these incidents has."""
    return max((each.end for each in incidents), default=WARM_UP) + CALM[0]


def _share(kinds: list[str], count: int, place: int, seed: int) -> list[str]:
    np.random.default_rng((seed, 2)).shuffle(kinds)
    return [kinds[(place * count + step) % len(kinds)] for step in range(count)]
