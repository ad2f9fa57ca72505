"""An expert on vectors that fall into clusters: sounds and sentences come again."""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from worker.scoring.bank import CAPACITY, VectorBank
from worker.scoring.experts.base import Features
from worker.scoring.state import State, integers, nested, part


class NearestExpert:
    """Distance to the nearest vector of the source's bank; the largest over a Moment's vectors."""

    def __init__(self, feature: str, dim: int, min_learned: int, capacity: int = CAPACITY) -> None:
        self._feature = feature
        self._bank = VectorBank(dim, capacity)
        self._learned = 0
        self._min_learned = min_learned

    def score(self, features: Features) -> float | None:
        """Return the distance of the vector that is farthest from the bank."""
        squares = self._squares(features)
        return None if squares is None else sqrt(max(0.0, *squares.tolist()))

    def farthest(self, features: Features) -> int | None:
        """Return which of the vectors is farthest from the bank, from 0; None as `score`."""
        squares = self._squares(features)
        return None if squares is None else int(squares.argmax())

    def learn(self, features: Features) -> None:
        """Offer the vectors to the bank."""
        rows = features.get(self._feature)
        if rows is not None:
            self._learned += 1
            self._bank.learn(rows.reshape(-1, rows.shape[-1]))

    def unlearn(self, features: Features) -> None:
        """Take the vectors out of the bank."""
        if (rows := features.get(self._feature)) is not None:
            self._learned -= 1
            self._bank.forget(rows.reshape(-1, rows.shape[-1]))

    def _squares(self, features: Features) -> NDArray[np.float32] | None:
        rows = features.get(self._feature)
        if rows is None or self._learned < self._min_learned or not len(self._bank):
            return None
        return self._bank.squares(rows.reshape(-1, rows.shape[-1]))

    def state(self) -> State:
        """Return the bank, and how many Moments it was offered."""
        return {"learned": integers(self._learned), **nested({"bank": self._bank.state()})}

    def restore(self, state: State) -> None:
        """Take up both."""
        self._learned = int(state["learned"][0])
        self._bank.restore(part(state, "bank"))
