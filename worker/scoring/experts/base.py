"""What an expert is: one view of one feature of a Moment, and how unusual it is for this source.

Contract of every expert, for features as float16 arrays, or as float32 ones of the same numbers:
`score(features)` returns a float, higher is more abnormal, without changing anything; None where
its feature is absent or it has learned from fewer than MIN_LEARNED Moments: cold is not normal.
`learn(features)` updates the state; the same features in the same order give the same state.
`unlearn(features)` takes back what stands by itself, as the rows of a bank do; what has been mixed
into a mean cannot be taken back, and fades.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from worker.scoring.state import State

MIN_LEARNED = 8

Features = Mapping[str, NDArray[Any]]
T = TypeVar("T")


class Looked(dict[str, NDArray[np.float32]]):
    """The features of a Moment, and what was seen in them: once for all experts, and to learn."""

    def __init__(self, features: Mapping[str, NDArray[np.float32]]) -> None:
        super().__init__(features)
        self._seen: dict[tuple[str, Callable[[NDArray[Any]], Any]], Any] = {}

    def seen(self, name: str, see: Callable[[NDArray[Any]], T]) -> T:
        """Return what `see`, which is pure, sees in a feature."""
        key = (name, see)
        if key not in self._seen:
            self._seen[key] = see(self[name])
        found: T = self._seen[key]
        return found


def seen(features: Features, name: str, see: Callable[[NDArray[Any]], T]) -> T | None:
    """Return what `see` sees in a feature; None where it is absent."""
    if name not in features:
        return None
    return features.seen(name, see) if isinstance(features, Looked) else see(features[name])


def finite(features: Features) -> tuple[Looked, tuple[str, ...]]:
    """Return the features that are numbers throughout, as float32, and the names of the others.

    Numpy calculates with float16 by way of float32: that way is gone once, not in every expert. Of
    numbers that were float16 the sum of squares is finite where all of them are.
    """
    if not features:
        return Looked({}), ()
    flat = np.concatenate(tuple(features.values()), axis=None, dtype=np.float32)
    single = _apart(flat, features)
    if isfinite(flat.dot(flat)):
        return Looked(single), ()
    skipped = tuple(name for name, value in single.items() if not isfinite(np.vdot(value, value)))
    return Looked({name: value for name, value in single.items() if name not in skipped}), skipped


def _apart(flat: NDArray[np.float32], features: Features) -> dict[str, NDArray[np.float32]]:
    """Return the features again of which all numbers, one after the other, are `flat`."""
    single, end = {}, 0
    for name, value in features.items():
        begin, end = end, end + value.size
        part = flat[begin:end]
        single[name] = part if value.ndim == 1 else part.reshape(value.shape)
    return single


class Expert(Protocol):
    """One view of one modality. See the module's docstring for the contract."""

    def score(self, features: Features) -> float | None:
        """Return how unusual the Moment is."""

    def learn(self, features: Features) -> None:
        """Take the Moment in as normal."""

    def unlearn(self, features: Features) -> None:
        """Take back what can be taken back of a Moment that was learned."""

    def state(self) -> State:
        """Return all that was learned."""

    def restore(self, state: State) -> None:
        """Take up what another one of the same kind has learned."""
