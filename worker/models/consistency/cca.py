"""Regularised canonical correlation analysis: a common space of two modalities in closed form.

With centred X (n, D_u), Y (n, D_v), S_xx = X^T X / n + r (tr / D_u) I, likewise S_yy, and S_xy:

    S_xx^(-1/2) S_xy S_yy^(-1/2) = U diag(rho) V^T;    A = S_xx^(-1/2) U_k,  B = S_yy^(-1/2) V_k

The score of a pair is the cosine of diag(rho) A^T (u - mean) and diag(rho) B^T (v - mean): weighted
by the correlations, so that directions without any do not count (Hotelling, 1936; Vinod, 1976;
Gong et al., 2014).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RIDGE = 0.1  # r, as a share of the mean variance
DIM = 64  # k


@dataclass(frozen=True, slots=True)
class View:
    """One side: its mean (D,) and its directions (D, k), weighted by the correlations."""

    mean: Array
    directions: Array

    def project(self, vectors: NDArray[np.floating]) -> Array:
        """Return unit rows (B, k); zeros for a vector that is the mean."""
        projected = (vectors.astype(np.float64) - self.mean) @ self.directions
        lengths = np.linalg.norm(projected, axis=1, keepdims=True)
        units: Array = projected / np.maximum(lengths, 1e-12)
        return units


@dataclass(frozen=True, slots=True)
class Cca:
    """Both views and the correlations rho (k,), in [0, 1], descending."""

    first: View
    second: View
    correlations: Array

    @classmethod
    def fit(
        cls,
        x: NDArray[np.floating],
        y: NDArray[np.floating],
        dim: int = DIM,
        ridge: float = RIDGE,
    ) -> Self:
        """Learn from n >= 2 pairs of rows. k is at most `dim`, D_u and D_v."""
        if len(x) != len(y) or len(x) < 2:
            raise ValueError("CCA needs at least two pairs of rows")
        mean_x, mean_y = x.mean(axis=0, dtype=np.float64), y.mean(axis=0, dtype=np.float64)
        centred_x, centred_y = x - mean_x, y - mean_y
        white_x, white_y = _whitening(centred_x, ridge), _whitening(centred_y, ridge)
        joint = white_x @ (centred_x.T @ centred_y / len(x)) @ white_y
        left, values, right = np.linalg.svd(joint, full_matrices=False)
        rho = values[:dim].clip(0, 1)
        return cls(
            View(mean_x, white_x @ left[:, :dim] * rho),
            View(mean_y, white_y @ right[:dim].T * rho),
            rho,
        )

    def agreement(self, u: NDArray[np.floating], v: NDArray[np.floating]) -> Array:
        """Return the cosine (B,) of each pair in the common space."""
        cosines: Array = (self.first.project(u) * self.second.project(v)).sum(axis=1)
        return cosines


def _whitening(centred: Array, ridge: float) -> Array:
    """Return S^(-1/2) of the regularised covariance, by its eigenvalues."""
    covariance = centred.T @ centred / len(centred)
    size = len(covariance)
    level = max(float(np.trace(covariance)) / size, 1e-12)
    values, vectors = np.linalg.eigh(covariance + ridge * level * np.eye(size))
    root: Array = vectors / np.sqrt(values) @ vectors.T
    return root
