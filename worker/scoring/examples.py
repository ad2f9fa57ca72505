"""Normal Moments of a source to compare an unusual one with, by the ids of their Observations."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.core.events import MODALITIES, Modality
from worker.scoring.experts import Features
from worker.scoring.experts.grid import cell_means
from worker.scoring.experts.vector import spectrum
from worker.scoring.spread import SpreadSample
from worker.scoring.state import State, integers

KEPT = 32
MAX_STRIDE = 256  # Moments: at one a second the examples go back some two hours

ID_BYTES = 16

View = NDArray[np.float16]


class _Example(NamedTuple):
    observation: str
    views: Mapping[Modality, View]


class NormalExamples:
    """A spread sample of normal Moments: what they look, sound and read like, and their ids."""

    def __init__(self) -> None:
        self._sample = SpreadSample[_Example](KEPT, MAX_STRIDE)

    def learn(self, observation: str, features: Features) -> None:
        """Keep a normal Moment where its turn has come; `observation` has 32 hexadecimal digits."""
        if self._sample.is_next():
            self._sample.keep(_Example(observation, _views(features)))

    def nearest(self, modality: Modality, features: Features) -> str | None:
        """Return the Observation of the example that is most like these features in a modality.

        By Euclidean distance; of equals the oldest. None where no example can be compared.
        """
        view = _views(features).get(modality)
        known = [each for each in self._sample.kept if modality in each.views]
        if view is None or not known:
            return None
        rows = np.stack([each.views[modality] for each in known]).astype(np.float64)
        return known[int(np.square(rows - view).sum(axis=1).argmin())].observation

    def state(self) -> State:
        """Return all of it as arrays; per modality the views of those examples that have one."""
        kept = self._sample.kept
        ids = b"".join(bytes.fromhex(each.observation) for each in kept)
        has = [[modality in each.views for modality in MODALITIES] for each in kept]
        rows = {m: [each.views[m] for each in kept if m in each.views] for m in MODALITIES}
        return {
            "stride": integers(self._sample.stride, self._sample.since),
            "ids": np.frombuffer(ids, np.uint8).reshape(len(kept), ID_BYTES),
            "has": np.array(has, bool).reshape(len(kept), len(MODALITIES)),
            **{m.value: np.stack(rows[m]) if rows[m] else _NONE for m in MODALITIES},
        }

    def restore(self, state: State) -> None:
        """Take up what another one has kept."""
        self._sample.stride, self._sample.since = map(int, state["stride"])
        rows = {modality: iter(state[modality.value]) for modality in MODALITIES}
        self._sample.kept = [
            _Example(
                ids.tobytes().hex(),
                {m: next(rows[m]).copy() for m in itertools.compress(MODALITIES, has)},
            )
            for ids, has in zip(state["ids"], state["has"], strict=True)
        ]


_NONE: View = np.zeros((0, 0), np.float16)


def _views(features: Features) -> dict[Modality, View]:
    """Return what a Moment is compared by: cells less their mean, mean spectrum, caption."""
    views: dict[Modality, NDArray[Any]] = {}
    if "luminance" in features:
        cells = cell_means(features["luminance"])
        views[Modality.FRAME] = cells - cells.mean()
    if "audio_windows" in features:
        views[Modality.AUDIO] = spectrum(features["audio_windows"])
    if "text" in features:
        views[Modality.CAPTION] = features["text"]
    return {modality: view.astype(np.float16) for modality, view in views.items()}
