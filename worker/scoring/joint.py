"""The features that come from several modalities at once: what another fusion makes otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.core.events import PAIRS
from worker.scoring.experts import Features, agreement_feature

FUSED = "fused"
_NAMES = frozenset({FUSED, *map(agreement_feature, PAIRS)})


def joint_features(
    vector: NDArray[np.float32], agreement: Mapping[str, float], compact: NDArray[np.float32]
) -> dict[str, NDArray[Any]]:
    """Return them as float16: the fused vector (D,) by `compact` (FUSED_DIM, D), pairs by name."""
    found = {
        agreement_feature(pair): np.array([value], np.float16) for pair, value in agreement.items()
    }
    return found | {FUSED: (compact @ vector).astype(np.float16)}


def with_joint(features: Features, joint: Features) -> Features:
    """Return the features of a Moment with those of another fusion instead of its own.

    >>> sorted(with_joint({"text": np.ones(2), "fused": np.ones(2)}, {}))
    ['text']
    """
    return {name: value for name, value in features.items() if name not in _NAMES} | dict(joint)
