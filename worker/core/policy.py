"""From a false-alarm budget to a threshold, a score and a severity. Pure arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

DAY_SECONDS = 86_400
MOST_ALPHA = 0.5  # of Moments may be unusual: those that are are not learned from
SCORE_DECADES = 10  # score 1 stands for p <= 1e-10
LEAST_SCORED = 10.0**-SCORE_DECADES  # the p-value from which the score is 1
CERTAIN = 1e-2  # of alpha: so unlikely that an alert does not wait for a second Moment
PERSISTENT = (60_000_000, 600_000_000)  # microseconds: who stays unusual for so long is worse


class Severity(StrEnum):
    """How urgent an alert is, mildest first."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for the mildest."""
        return list(Severity).index(self)


def score_of(p_value: float) -> float:
    """Return the score in [0, 1] of a p-value: min(1, -log10(p) / 10); higher is more abnormal.

    >>> round(score_of(1e-5), 6), score_of(1.0), score_of(0.0)
    (0.5, 0.0, 1.0)
    """
    if p_value <= LEAST_SCORED:
        return 1.0
    return 0.0 - math.log10(p_value) / SCORE_DECADES  # 0.0, not -0.0, for 1


@dataclass(frozen=True, slots=True)
class Budget:
    """The p-value below which a Moment is unusual. `alpha` is 0 where alerts are switched off."""

    alpha: float

    @classmethod
    def of(cls, false_alarms_per_day: float, window_seconds: float) -> Budget:
        """Spread the false alarms of a day over the Moments of a day of one source.

        An alert takes two unusual Moments, or one certain one: N Moments of which a share alpha is
        unusual make at most N alpha (1/2 + CERTAIN) alerts, however they cluster.

        >>> round(Budget.of(2, 1).alpha, 8)
        4.539e-05
        """
        moments = DAY_SECONDS / window_seconds
        return cls(alpha=min(MOST_ALPHA, false_alarms_per_day / moments / (0.5 + CERTAIN)))

    @property
    def threshold(self) -> float:
        """The threshold on the scale of the score."""
        return score_of(self.alpha)

    def times(self, factor: float) -> Budget:
        """Return the budget with an alpha that many times as large, but no more than MOST_ALPHA."""
        return self if factor == 1 else Budget(min(MOST_ALPHA, self.alpha * factor))

    def allowance(self, moments: int) -> float:
        """Return the false alarms that so many Moments may give: what `of` spread over a day.

        >>> round(Budget.of(2, 1).allowance(DAY_SECONDS), 6)
        2.0
        """
        return self.alpha * moments * (0.5 + CERTAIN)

    def exceeds(self, p_value: float) -> bool:
        """Tell whether the Moment is unusual."""
        return self.alpha > 0 and p_value <= self.alpha

    def is_certain(self, p_value: float) -> bool:
        """Tell whether one Moment alone is enough for an alert."""
        return self.exceeds(p_value) and p_value <= self.alpha * CERTAIN

    def severity(self, p_value: float, lasted: int = 0) -> Severity:
        """Return the severity: a step for each factor of 100 below alpha, and for persistence.

        `lasted` is how long an alert has been unusual, in microseconds of event time.

        >>> [str(Budget(1e-4).severity(p)) for p in (1e-4, 1e-6, 1e-8, 0)]
        ['low', 'medium', 'high', 'critical']
        >>> [str(Budget(1e-4).severity(1e-4, lasted)) for lasted in PERSISTENT]
        ['medium', 'high']
        """
        if p_value <= 0:
            return Severity.CRITICAL
        decades = math.log10(self.alpha) - math.log10(p_value)
        steps = max(0, math.floor(decades / 2 + 1e-9)) + sum(lasted >= each for each in PERSISTENT)
        return list(Severity)[min(steps, len(Severity) - 1)]
