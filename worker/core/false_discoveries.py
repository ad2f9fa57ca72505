"""How many of a fleet's alerts may be false: online control of the false-discovery rate."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt

MEMORY = 10_000  # Moments of all sources together, after which a discovery counts for 1/e
DECAY = 1 - 1 / MEMORY
BASE = 0.5  # of a discovery: what is spent where there are none
MAX_DISCOVERIES = 32  # remembered, the newest; without the others levels are lower, so still valid
_SUM = 0.07720838  # so that the shares of all steps come to 1 (Javanmard and Montanari, 2018)


@dataclass(frozen=True, slots=True)
class Discoveries:
    """What a control remembers: the Moments that were tested, and the newest tests that found.

    Tests have numbers, from 1.
    """

    tests: int = 0
    found: tuple[int, ...] = ()

    def after(self, *, found: bool) -> Discoveries:
        """Return what is remembered after one more test."""
        test = self.tests + 1
        return Discoveries(test, (*self.found, test)[-MAX_DISCOVERIES:] if found else self.found)


@dataclass(frozen=True, slots=True)
class DiscoveryRate:
    """LORD with memory decay (Rebjock, Kurt, Januschowski and Callot, NeurIPS 2021).

    Each Moment that may open an alert is a test. With alerts weighed by how long ago they were,
    half of their weight after 7000 tests, no more than `rate` in (0, 1) times (all of them + BASE)
    are expected to be false: a true alert earns what later ones are tested with, and what has been
    earned is forgotten, so levels follow what is going on now. While nothing happens a false alert
    comes once in MEMORY / (BASE `rate`) Moments.
    """

    rate: float

    def level(self, before: Discoveries) -> float:
        """Return the p-value up to which the next test finds something.

        rate (BASE max(g_t, 1 - DECAY) + sum over tests r that found of DECAY^(t - r) g_(t - r)).
        """
        test = before.tests + 1
        earned = sum(DECAY ** (test - found) * _share(test - found) for found in before.found)
        return self.rate * (BASE * max(_share(test), 1 - DECAY) + earned)


def _share(step: int) -> float:
    """Return the share of what is earned that is spent `step` >= 1 tests later; they sum to 1."""
    return _SUM * log(max(step, 2)) / (step * exp(sqrt(log(step))))
