"""The expert on captions that say something else than the picture shows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.scoring.bank import quantised
from worker.scoring.experts.base import MIN_LEARNED, Features
from worker.scoring.spread import SpreadSample
from worker.scoring.state import State, integers

KEPT = 128  # pairs of a caption and its picture
MAX_STRIDE = 16  # captions between two kept pairs once the source is old
RIDGE = 4.0  # of the captions' mean variance, in all directions

Vector = NDArray[np.float32]


class _Pair(NamedTuple):
    codes: NDArray[np.int8]  # of the caption's vector, with one scale: see `quantised`
    scale: np.float32
    picture: NDArray[np.float16]


class _Fit(NamedTuple):
    """Pictures are on average what `mean` is, and `spread` is the mean square of their distances.

    A caption x moves that by weights^T texts (x - centre).
    """

    texts: NDArray[np.float32]  # (n, T)
    centre: Vector
    weights: NDArray[np.float32]  # (n, D)
    mean: Vector
    spread: float


class DescribedExpert:
    """How much worse the caption's prediction of the picture is than none.

    Ridge regression of picture embeddings on caption embeddings over a spread sample of the
    source's own pairs, in its dual form. A strong ridge averages over many captions, and shrinks:
    predictions p are scaled back to where the pictures y (D,) less their mean regress on them with
    slope 1. The score is (|y - p|^2 - |y|^2) / E|y|^2: minus twice the pointwise mutual information
    of both, were they normal. A caption that is like none before predicts nothing, and scores 0.
    """

    def __init__(self) -> None:
        self._learned = 0
        self._sample = SpreadSample[_Pair](KEPT, MAX_STRIDE)
        self._fit: _Fit | None = None  # found when it is looked at

    def score(self, features: Features) -> float | None:
        """Return how much worse the prediction is than none; None also where words were said."""
        pair = _pair_of(features)
        if pair is None or self._learned < MIN_LEARNED or not self._sample.kept:
            return None
        if self._fit is None:
            self._fit = _fitted(self._sample.kept)
        text, picture = pair
        deviation = picture - self._fit.mean
        predicted = (self._fit.texts @ (text - self._fit.centre)) @ self._fit.weights
        return float(predicted @ (predicted - 2 * deviation)) / self._fit.spread

    def learn(self, features: Features) -> None:
        """Keep the pair where its turn has come."""
        if (pair := _pair_of(features)) is None:
            return
        self._learned += 1
        if self._sample.is_next():
            self._sample.keep(_kept(*pair))
            self._fit = None

    def unlearn(self, features: Features) -> None:
        """Take the pair out, if it was kept."""
        if (pair := _pair_of(features)) is None:
            return
        self._learned -= 1
        codes, scale, picture = _kept(*pair)
        self._sample.kept = [
            each
            for each in self._sample.kept
            if each.scale != scale or (each.codes != codes).any() or (each.picture != picture).any()
        ]
        self._fit = None

    def state(self) -> State:
        """Return the pairs, how many were learned, and where it is in its stride."""
        kept = self._sample.kept
        return {
            "counts": integers(self._learned, self._sample.stride, self._sample.since),
            "codes": np.array([each.codes for each in kept], np.int8),
            "scales": np.array([each.scale for each in kept], np.float32),
            "pictures": np.array([each.picture for each in kept], np.float16),
        }

    def restore(self, state: State) -> None:
        """Take up all of it."""
        self._learned, self._sample.stride, self._sample.since = map(int, state["counts"])
        rows = zip(state["codes"], state["scales"], state["pictures"], strict=True)
        self._sample.kept = [_Pair(codes.copy(), scale, each.copy()) for codes, scale, each in rows]
        self._fit = None


def _pair_of(features: Features) -> tuple[Vector, Vector] | None:
    """Return caption and picture; None without both, or where the text was (partly) said."""
    if not {"text", "visual"} <= features.keys() or "text_derived" in features:
        return None
    return features["text"].astype(np.float32), features["visual"].astype(np.float32)


def _kept(text: Vector, picture: Vector) -> _Pair:
    codes, scales = quantised(text[None])
    return _Pair(codes[0], scales[0], picture.astype(np.float16))


def _fitted(pairs: list[_Pair]) -> _Fit:
    """Regress pictures on captions; both less their means, so the weights of all pairs sum to 0."""
    scales: NDArray[Any] = np.array([each.scale for each in pairs], np.float32)
    texts = np.stack([each.codes for each in pairs]) * scales[:, None]
    pictures = np.stack([each.picture for each in pairs]).astype(np.float32)
    centre, mean = texts.mean(axis=0), pictures.mean(axis=0)
    centred, deviations = texts - centre, pictures - mean
    products = (centred @ centred.T).astype(np.float64)
    ridge = RIDGE * max(float(np.trace(products)) / len(pairs), 1e-6)
    weights = np.linalg.solve(products + ridge * np.eye(len(pairs)), deviations)
    shrunk = products @ weights
    weights *= np.vdot(shrunk, deviations) / max(float(np.vdot(shrunk, shrunk)), 1e-12)
    spread = max(float(np.square(deviations).sum(axis=1).mean()), 1e-6)
    return _Fit(texts, centre, weights.astype(np.float32), mean, spread)
