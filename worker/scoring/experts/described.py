"""The expert on captions that say something else than the picture shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.scoring.bank import quantised
from worker.scoring.experts.base import MIN_LEARNED, Features
from worker.scoring.spread import SpreadSample
from worker.scoring.state import State, integers

KEPT = 96  # pairs of a caption and its picture
MAX_STRIDE = 16  # captions between two kept pairs once the source is old
RIDGE = 4.0  # of the captions' mean variance, in all directions

Vector = NDArray[np.float32]


class _Pairs(NamedTuple):
    """Captions and their pictures, oldest first."""

    codes: NDArray[np.int8]  # (n, T) of the captions' vectors, with one scale each: see `quantised`
    scales: Vector  # (n,)
    pictures: NDArray[np.float16]  # (n, D)

    @property
    def number(self) -> int:
        """How many they are, n."""
        return len(self.scales)

    def at(self, places: Sequence[int] | NDArray[np.bool_]) -> _Pairs:
        """Return some of them."""
        return _Pairs(self.codes[places], self.scales[places], self.pictures[places])

    def with_one(self, one: _Pairs) -> _Pairs:
        """Return them with another one at the end."""
        return _Pairs(
            np.concatenate([self.codes, one.codes]),
            np.concatenate([self.scales, one.scales]),
            np.concatenate([self.pictures, one.pictures]),
        )

    def dots(self, text: Vector) -> Vector:
        """Return the inner products (n,) of the captions with a vector (T,)."""
        products: Vector = self.scales * (self.codes.astype(np.float32).dot(text))
        return products

    def equal(self, one: _Pairs) -> NDArray[np.bool_]:
        """Return which (n,) of them are the same as another one."""
        is_same = (self.codes == one.codes).all(axis=1) & (self.scales == one.scales)
        same: NDArray[np.bool_] = is_same & (self.pictures == one.pictures).all(axis=1)
        return same


_NONE = _Pairs(np.zeros(0, np.int8), np.zeros(0, np.float32), np.zeros(0, np.float16))


class _Fit(NamedTuple):
    """Pictures are on average what `mean` is, and `spread` is the mean square of their distances.

    A caption x moves that by weights^T (texts x - shift), where shift is what texts of the mean
    caption come to.
    """

    shift: Vector  # (n,)
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
        self._pairs: _Pairs | None = None
        self._sample = SpreadSample[int](KEPT, MAX_STRIDE)  # places of pairs: all of them
        self._fit: _Fit | None = None  # found when it is looked at

    def score(self, features: Features) -> float | None:
        """Return how much worse the prediction is than none; None also where words were said."""
        pair = _pair_of(features)
        if pair is None or self._learned < MIN_LEARNED or self._pairs is None:
            return None
        if self._fit is None:
            self._fit = _fitted(self._pairs)
        text, picture = pair
        deviation = picture - self._fit.mean
        predicted = (self._pairs.dots(text) - self._fit.shift).dot(self._fit.weights)
        return float(predicted.dot(predicted - 2 * deviation)) / self._fit.spread

    def learn(self, features: Features) -> None:
        """Keep the pair where its turn has come."""
        if (pair := _pair_of(features)) is None:
            return
        self._learned += 1
        if not self._sample.is_next():
            return
        one = _kept(*pair)
        pairs = one if self._pairs is None else self._pairs.with_one(one)
        self._sample.keep(pairs.number - 1)
        is_whole = len(self._sample.kept) == pairs.number
        self._keep(pairs if is_whole else pairs.at(self._sample.kept))

    def unlearn(self, features: Features) -> None:
        """Take the pair out, if it was kept."""
        if (pair := _pair_of(features)) is None:
            return
        self._learned -= 1
        if (known := self._pairs) is not None:
            self._keep(known.at(~known.equal(_kept(*pair))))

    def state(self) -> State:
        """Return the pairs, how many were learned, and where it is in its stride."""
        pairs = _NONE if self._pairs is None else self._pairs
        return {
            "counts": integers(self._learned, self._sample.stride, self._sample.since),
            **pairs._asdict(),
        }

    def restore(self, state: State) -> None:
        """Take up all of it."""
        self._learned, self._sample.stride, self._sample.since = map(int, state["counts"])
        self._keep(_Pairs(*(state[name].copy() for name in ("codes", "scales", "pictures"))))

    def _keep(self, pairs: _Pairs) -> None:
        self._pairs = pairs if pairs.number else None
        self._sample.kept = list(range(pairs.number))
        self._fit = None


def _pair_of(features: Features) -> tuple[Vector, Vector] | None:
    """Return caption and picture; None without both, or where the text was (partly) said."""
    if not {"text", "visual"} <= features.keys() or "text_derived" in features:
        return None
    text, picture = (features[name].astype(np.float32, copy=False) for name in ("text", "visual"))
    return text, picture


def _kept(text: Vector, picture: Vector) -> _Pairs:
    return _Pairs(*quantised(text[None]), picture[None].astype(np.float16))


def _fitted(pairs: _Pairs) -> _Fit:
    """Regress pictures on captions; both less their means, so the weights of all pairs sum to 0."""
    texts = pairs.codes * pairs.scales[:, None]
    pictures = pairs.pictures.astype(np.float32)
    centre, mean = texts.mean(axis=0), pictures.mean(axis=0)
    shift = pairs.dots(centre)
    texts -= centre
    deviations = pictures - mean
    products = texts @ texts.T
    ridge = RIDGE * max(float(np.trace(products)) / pairs.number, 1e-6)
    ridged = products + ridge * np.eye(pairs.number, dtype=np.float32)
    weights = np.linalg.solve(ridged, deviations)  # of a condition below n + 1
    shrunk = products @ weights
    weights *= np.vdot(shrunk, deviations) / max(float(np.vdot(shrunk, shrunk)), 1e-12)
    spread = max(float(np.square(deviations).sum(axis=1).mean()), 1e-6)
    return _Fit(shift, weights, mean, spread)
