"""Agreement in a space that both modalities share, relative to captions of other events.

A raw cosine has no scale: it depends on the model, the scene and the wording. The score is

    s = log softmax(tau [u . v, u . o_1, .., u . o_N])_0       u, v, o_n unit vectors, tau > 0

the log-probability of the true partner among N others; 0 is certain, log(1 / (N + 1)) chance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TEMPERATURE = 100.0  # tau of CLIP after training
OTHERS = 64

Array = NDArray[np.floating]


def agreement(u: Array, v: Array, others: Array, tau: float = TEMPERATURE) -> NDArray[np.float64]:
    """Return s (B,) of unit rows u and v (B, D) against the unit rows `others` (N, D), N >= 1."""
    exact = u.astype(np.float64)
    true = tau * (exact * v).sum(axis=1, keepdims=True)
    logits = np.concatenate([true, tau * (exact @ others.astype(np.float64).T)], axis=1)
    highest = logits.max(axis=1, keepdims=True)
    total = np.log(np.exp(logits - highest).sum(axis=1)) + highest[:, 0]
    score: NDArray[np.float64] = true[:, 0] - total
    return score
