"""Whether a source's p-values still look as those of usual Moments: a conformal test martingale."""

from __future__ import annotations

import numpy as np

from worker.scoring.state import State

ALARM = 1e4  # of capital, at which the flag is raised
RESTART = 1.0  # the least capital, at which the flag is taken back
JUMP = 0.01  # share of the capital that changes its bet at each step
BETS = (-1.0, 0.0)  # on small p-values, on nothing


class DriftMartingale:
    """The simple jumper (Vovk et al., 2021): a gambler who bets against uniform p-values.

    Each part of the capital is multiplied by 1 + e (p - 1/2), e one of BETS, and a share JUMP of
    all is spread anew: without drift that is a martingale. Held at RESTART or above it is a CUSUM
    over p-values, which finds many small scores in a row: where p-values are independent, and
    uniform or larger, it takes ALARM Moments or more on average until a false flag (Shin, Ramdas
    and Rinaldo, 2022). There is no bet on large ones: those of a whole Moment are careful, so they
    are large on average while all is well. Consecutive Moments are alike, and so are their
    p-values: a flag asks a person to look, it proves nothing.
    """

    def __init__(self) -> None:
        self._parts = [1 / len(BETS)] * len(BETS)
        self.is_raised = False

    @property
    def capital(self) -> float:
        """What the gambler has, > 0; 1 at the beginning."""
        return sum(self._parts)

    @property
    def is_calm(self) -> bool:
        """Whether nothing small has come lately: all that it won is lost again."""
        return self.capital <= RESTART

    def learn(self, p_value: float) -> None:
        """Take in the p-value of one more Moment, in [0, 1].

        The flag is raised at ALARM and stays until the capital is back at RESTART. It is held
        between both, so that what is over comes to an end.
        """
        spread = JUMP * (self.capital / len(BETS))
        self._parts = [
            ((1 - JUMP) * part + spread) * (1 + bet * (p_value - 0.5))
            for part, bet in zip(self._parts, BETS, strict=True)
        ]
        capital = self.capital
        if capital >= ALARM:
            self.is_raised = True
            self._scale_to(ALARM)
        elif capital <= RESTART:
            self.is_raised = False
            self._scale_to(RESTART)

    def state(self) -> State:
        """Return the parts of the capital, and the flag."""
        return {"parts": np.array(self._parts), "raised": np.array([self.is_raised])}

    def restore(self, state: State) -> None:
        """Take up both."""
        self._parts = state["parts"].tolist()
        self.is_raised = bool(state["raised"][0])

    def _scale_to(self, capital: float) -> None:
        """Keep the shares; the last part is the rest, so that the bounds hold to the bit."""
        *others, _ = (part * capital / self.capital for part in self._parts)
        self._parts = [*others, capital - sum(others)]
