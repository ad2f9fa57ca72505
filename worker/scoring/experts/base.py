"""What an expert is: one view of one feature of a Moment, and how unusual it is for this source.

Contract of every expert, for features as float16 arrays, or as float32 ones of the same numbers:
`score(features)` returns a float, higher is more abnormal, without changing anything; None where
its feature is absent or it has learned from fewer than MIN_LEARNED Moments: cold is not normal.
`learn(features)` updates the state; the same features in the same order give the same state.
`unlearn(features)` takes back what stands by itself, as the rows of a bank do; what has been mixed
into a mean cannot be taken back, and fades.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from worker.scoring.state import State

MIN_LEARNED = 8

Features = Mapping[str, NDArray[Any]]


def finite(features: Features) -> tuple[Features, tuple[str, ...]]:
    """Return the features that are numbers throughout, as float32, and the names of the others.

    Numpy calculates with float16 by way of float32: that way is gone once, not in every expert. Of
    numbers that were float16 the sum of squares is finite where all of them are.
    """
    single = {name: value.astype(np.float32) for name, value in features.items()}
    skipped = tuple(name for name, value in single.items() if not isfinite(np.vdot(value, value)))
    return {name: value for name, value in single.items() if name not in skipped}, skipped


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
