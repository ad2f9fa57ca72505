"""Which alert policy holds for which source."""

from __future__ import annotations

from dataclasses import dataclass, field

from worker.core.alerts import AlertPolicy
from worker.core.false_discoveries import DiscoveryRate
from worker.core.incidents import Neighbourhoods
from worker.core.source_patterns import SourcePatterns


@dataclass(frozen=True, slots=True)
class SourcePolicy:
    """A policy for some sources."""

    sources: SourcePatterns
    policy: AlertPolicy


@dataclass(frozen=True, slots=True)
class AlertPolicies:
    """The policy of every source: that of the first pattern that matches it, else the usual one.

    And which sources are neighbours, whose alerts may be one incident; and, where that is
    controlled, which share of the alerts of all of them may be false.
    """

    usual: AlertPolicy
    special: tuple[SourcePolicy, ...] = ()
    neighbourhoods: Neighbourhoods = field(default_factory=Neighbourhoods)
    discovery_rate: DiscoveryRate | None = None

    def of(self, source: str) -> AlertPolicy:
        """Return the policy of a source."""
        return next(
            (each.policy for each in self.special if each.sources.match(source)), self.usual
        )
