"""What made a Moment unusual, from what was known before it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.core.events import Modality
from worker.core.messages import Cell, NearestNormal, Region
from worker.scoring import combine
from worker.scoring.experts import Features
from worker.scoring.experts.grid import GridExpert
from worker.scoring.experts.nearest import NearestExpert
from worker.scoring.memory import SourceMemory
from worker.scoring.scored import Scored

MAX_CELLS = 8  # the hottest ones of a picture are named,
LEAST_HEAT = 0.02  # those that have so much of it


@dataclass(frozen=True, slots=True)
class Explained:
    """What is to be said of an unusual Moment; `sound_window` counts its windows of sound from 0.

    `experts` are their shares of the contributions. `extrapolated_from` are the normal scores that
    the p-value of the strongest one comes from, where it is smaller than so many can show.
    """

    experts: Mapping[str, float] = field(default_factory=dict)
    nearest: NearestNormal | None = None
    region: Region | None = None
    sound_window: int | None = None
    extrapolated_from: int | None = None


def explained(
    memory: SourceMemory, features: Features, scored: Scored, known: Callable[[str], int]
) -> Explained:
    """Return what can be said of a Moment that was scored by the memory as it is.

    `known` returns by how many normal scores an expert's are judged.
    """
    opinions = scored.assessment.opinions.items()
    p_values = {name: each.p_value for name, each in opinions if each.p_value is not None}
    contributions = scored.assessment.contributions
    experts = combine.expert_shares(scored.votes, p_values)
    return Explained(
        experts=experts,
        nearest=_nearest(memory, features, contributions),
        region=_region(memory, features) if "visual" in scored.reasons else None,
        sound_window=_sound_window(memory, features) if "audio" in scored.reasons else None,
        extrapolated_from=_extrapolated_from(experts, p_values, known),
    )


def _extrapolated_from(
    experts: Mapping[str, float], p_values: Mapping[str, float], known: Callable[[str], int]
) -> int | None:
    """Return by how many scores the strongest expert is judged, where p < 1 / (n + 1)."""
    strongest = max(experts, key=lambda name: experts[name], default=None)
    if strongest is None:
        return None
    scores = known(strongest)
    return scores if p_values[strongest] < 1 / (scores + 1) else None


def _nearest(
    memory: SourceMemory, features: Features, contributions: Mapping[str, float]
) -> NearestNormal | None:
    """Return the example that is nearest in the modality with the largest part, or the next one."""
    ranked = sorted(map(Modality, contributions), key=lambda each: -contributions[each])
    for modality in ranked:
        if (found := memory.examples.nearest(modality, features)) is not None:
            return NearestNormal(found, modality)
    return None


def _region(memory: SourceMemory, features: Features) -> Region | None:
    grid = memory.experts.get("visual_grid")
    heat = grid.heat(features) if isinstance(grid, GridExpert) else None
    return None if heat is None else Region(len(heat), heat.shape[1], _hottest(heat))


def _hottest(heat: NDArray[np.float64]) -> tuple[Cell, ...]:
    places = np.argsort(-heat, axis=None, kind="stable")[:MAX_CELLS]
    cells = [(*divmod(int(place), heat.shape[1]), float(heat.flat[place])) for place in places]
    return tuple(Cell(*each) for each in cells if each[-1] >= LEAST_HEAT)


def _sound_window(memory: SourceMemory, features: Mapping[str, NDArray[Any]]) -> int | None:
    sounds = memory.experts.get("audio")
    return sounds.farthest(features) if isinstance(sounds, NearestExpert) else None
