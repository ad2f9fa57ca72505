"""Fusion: one unit vector for a Moment from whatever modalities it has.

The untrained `weighted` operator, for modalities m with mask p_m in {0, 1}:

    t_m = P_m z_m / |P_m z_m|               P_m (D, D_m): fixed, seeded, orthonormal
    w_m = p_m exp(a_m) / sum_k p_k exp(a_k)     masked softmax; a = 0: equal weights
    v   = sum_m w_m t_m;    fused = v / |v|

A random orthonormal projection keeps angles up to about 1 / sqrt(D) (Johnson-Lindenstrauss); the
normalisation of t_m makes the weights mean what they say, whatever share of z_m the projection
keeps.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from worker.core.events import MODALITIES, Modality

Array = NDArray[np.float32]

_TINY = 1e-6  # a length below this has no direction


class Fusion:
    """The `weighted` operator. Immutable; safe to call from several threads."""

    def __init__(self, dims: Mapping[Modality, int], seed: int, dim: int = 256) -> None:
        self.dim = dim
        self._projections = {
            modality: orthonormal_rows(dim, dims[modality], seed + place)
            for place, modality in enumerate(MODALITIES)
            if modality in dims
        }
        self._logits = np.zeros(len(MODALITIES), np.float32)  # a_m

    def forward(
        self, z: Mapping[Modality, NDArray[np.floating]], present: NDArray[np.bool_]
    ) -> tuple[Array, Array]:
        """Return fused (B, dim), unit rows, and weights (B, M), rows that sum to 1.

        `z` holds (B, D_m) per modality; the rows that `present` (B, M), in the order of
        `MODALITIES`, calls missing are never looked at, and have weight 0. Where all are missing,
        fused and weights are 0. All results are finite where the present rows are.
        """
        weights = masked_softmax(self._logits, present)
        fused = np.zeros((len(present), self.dim), np.float32)
        for place, modality in enumerate(MODALITIES):
            rows = np.flatnonzero(present[:, place])
            if len(rows):
                tokens = _unit(_projected(z[modality][rows], self._projections[modality]))
                fused[rows] += weights[rows, place, None] * tokens
        return _unit(fused), weights


def masked_softmax(logits: Array, present: NDArray[np.bool_]) -> Array:
    """Return the softmax of `logits` (M,) over the present places of each row of (B, M)."""
    masked = np.where(present, logits, -np.inf)
    highest = masked.max(axis=1, keepdims=True, initial=np.finfo(np.float32).min)
    raised = np.exp(masked - highest).astype(np.float32)
    total = raised.sum(axis=1, keepdims=True)
    weights: Array = np.divide(raised, total, out=np.zeros_like(raised), where=total > 0)
    return weights


def orthonormal_rows(rows: int, columns: int, seed: int) -> Array:
    """Return a fixed random (rows, columns) with orthonormal rows.

    With more rows than columns its columns are orthonormal instead: it keeps all lengths.
    """
    wide, narrow = max(rows, columns), min(rows, columns)
    normal = np.random.default_rng(seed).standard_normal((wide, narrow))
    q, r = np.linalg.qr(normal)
    q *= np.sign(np.diag(r))  # makes the factor unique, whatever the linear algebra library
    return np.ascontiguousarray(q.T if rows <= columns else q, np.float32)


def _projected(vectors: NDArray[np.floating], projection: Array) -> Array:
    """Project row by row: a product of matrices would round a row by how many stand beside it."""
    return np.stack([projection @ row for row in vectors.astype(np.float32)])


def _unit(vectors: Array) -> Array:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: Array = vectors / np.maximum(norms, _TINY)
    return units.astype(np.float32, copy=False)
