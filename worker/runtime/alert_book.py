"""The alerts of all sources of a partition index under one set of policies."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace

from worker.core.alert_policies import AlertPolicies
from worker.core.alerts import RULE, AlertState, Decision, Finding
from worker.core.false_discoveries import Discoveries
from worker.core.messages import alert_id
from worker.core.policy import Budget

MAX_ALERT_STATES = 10_000  # sources whose alerts are remembered, the last ones decided about
CALM = AlertState()


class AlertBook:
    """Keeps an AlertState per source; what is decided follows from the order of decisions alone.

    `discoveries` is what the control of their false-discovery rate remembers, where there is one.
    """

    def __init__(
        self,
        policies: AlertPolicies,
        states: Mapping[str, AlertState],
        discoveries: Discoveries | None = None,
    ) -> None:
        """Begin with `states` by source, the ones decided about last at the end."""
        self._policies = policies
        self._states = OrderedDict(states)
        self.discoveries = discoveries or Discoveries()

    def of(self, source: str) -> AlertState:
        """Return what is remembered of a source."""
        return self._states.get(source, CALM)

    def get(self, source: str) -> AlertState | None:
        """Return what is to be stored of a source, None where that is nothing."""
        return self._states.get(source)

    def budget(self, source: str) -> Budget:
        """Return the budget that a source has by now."""
        return self._policies.of(source).adapted(self.of(source)).budget

    def decide(self, source: str, finding: Finding, *, anew: bool) -> Decision:
        """Decide about the next Moment of a source, as `AlertPolicy.decide` does."""
        before, policy = self.of(source), self._policies.of(source)
        rate = self._policies.discovery_rate
        is_test = rate is not None and policy.may_open(before, finding)
        if rate is not None and is_test:
            policy = replace(policy, level=rate.level(self.discoveries))
        after, decision = policy.decide(before, finding, anew=anew)
        if is_test:
            self.discoveries = self.discoveries.after(found=decision.kind == "open")
        if decision.kind == "open" and decision.alert is not None:
            after = self._with_incident(source, after, decision.alert.start)
        self.put(source, after)
        return decision

    def put(self, source: str, state: AlertState) -> None:
        """Remember a state; at the bound what was decided about the longest ago is forgotten."""
        self._states.pop(source, None)
        if state != CALM:
            self._states[source] = state
            if len(self._states) > MAX_ALERT_STATES:
                self._states.popitem(last=False)

    @property
    def fill(self) -> float:
        """The share of its bound that it remembers."""
        return len(self._states) / MAX_ALERT_STATES

    def _with_incident(self, source: str, state: AlertState, start: int) -> AlertState:
        neighbourhoods = self._policies.neighbourhoods
        if not neighbourhoods.groups:
            return state
        others = {n: each.incident for n, each in self._states.items() if each.incident is not None}
        named = alert_id(source, RULE, start)
        return replace(state, incident=neighbourhoods.incident(source, named, start, others))
