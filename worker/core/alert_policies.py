"""Which alert policy holds for which source."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field

from worker.core.alerts import AlertPolicy
from worker.core.incidents import Neighbourhoods


@dataclass(frozen=True, slots=True)
class SourcePolicy:
    """A policy for the sources that a pattern matches: `*`, `?` and `[...]` as in a shell."""

    match: str
    policy: AlertPolicy
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_pattern", re.compile(fnmatch.translate(self.match)))

    def matches(self, source: str) -> bool:
        """Tell whether a source is meant.

        >>> from worker.core.policy import Budget
        >>> gates = SourcePolicy("/cameras/gate*", AlertPolicy(Budget(0), cooldown=0))
        >>> gates.matches("/cameras/gate-2"), gates.matches("/cameras/yard")
        (True, False)
        """
        return self._pattern.fullmatch(source) is not None


@dataclass(frozen=True, slots=True)
class AlertPolicies:
    """The policy of every source: that of the first pattern that matches it, else the usual one.

    And which sources are neighbours, whose alerts may be one incident.
    """

    usual: AlertPolicy
    special: tuple[SourcePolicy, ...] = ()
    neighbourhoods: Neighbourhoods = field(default_factory=Neighbourhoods)

    def of(self, source: str) -> AlertPolicy:
        """Return the policy of a source."""
        return next((each.policy for each in self.special if each.matches(source)), self.usual)
