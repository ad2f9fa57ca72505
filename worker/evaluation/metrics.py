"""Numbers about p-values and labels.

Arrays are (n,): `unusual` bool, `p` in (0, 1], `weights` not negative. Ranking metrics are
scikit-learn's, over -p: higher is more abnormal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics

LEVELS = np.arange(1, 11) / 10  # at which p-values are compared with what they claim

Array = NDArray[Any]


def has_both(unusual: Array, weights: Array | None = None) -> bool:
    """Tell whether there is weight on both classes: else nothing can be ranked."""
    counted = unusual if weights is None else unusual[weights > 0]
    return bool(counted.any() and not counted.all())


def auroc(unusual: Array, p: Array, weights: Array | None = None) -> float:
    """Return the area under the ROC curve."""
    return float(metrics.roc_auc_score(unusual, -p, sample_weight=weights))


def average_precision(unusual: Array, p: Array, weights: Array | None = None) -> float:
    """Return the average precision."""
    return float(metrics.average_precision_score(unusual, -p, sample_weight=weights))


def recall_at(alpha: float, unusual: Array, p: Array, weights: Array | None = None) -> float:
    """Return the share of unusual Moments with p <= alpha."""
    held = np.ones(len(p)) if weights is None else weights
    return float(((p <= alpha) & unusual) @ held / (unusual @ held))


def best_f1(unusual: Array, p: Array) -> float:
    """Return the largest F1 over all thresholds: a bound, since it is chosen on the labels."""
    precision, recall, _ = metrics.precision_recall_curve(unusual, -p)
    return float((2 * precision * recall / np.maximum(precision + recall, 1e-12)).max())


def f1_at(alpha: float, unusual: Array, p: Array) -> float:
    """Return F1 of calling p <= alpha unusual."""
    return float(metrics.f1_score(unusual, p <= alpha, zero_division=0.0))


def uniformity(normal: Array) -> float:
    """Return the Kolmogorov-Smirnov distance of normal Moments' p-values to the uniform, 0..1."""
    return float(stats.ks_1samp(normal, stats.uniform.cdf).statistic)


def calibration_error(normal: Array) -> float:
    """Return the expected calibration error of p as a claimed share of false alarms, 0..1.

    mean over levels a of |share of normal Moments with p <= a, less a|.
    """
    shares = (normal[:, None] <= LEVELS).mean(axis=0)
    return float(np.abs(shares - LEVELS).mean())


def roc_points(unusual: Array, p: Array) -> list[tuple[float, float]]:
    """Return (false-positive rate, true-positive rate) of the ROC curve's corners."""
    false, true, _ = metrics.roc_curve(unusual, -p)
    return list(zip(false.tolist(), true.tolist(), strict=True))


def pr_points(unusual: Array, p: Array) -> list[tuple[float, float]]:
    """Return (recall, precision) of each threshold, recall falling."""
    precision, recall, _ = metrics.precision_recall_curve(unusual, -p)
    return list(zip(recall.tolist(), precision.tolist(), strict=True))
