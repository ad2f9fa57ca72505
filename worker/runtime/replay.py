"""Decides anew from stored Observations, without encoders.

Observations carry the features that were scored, in the order in which they were learned: under the
settings of then, scores and decisions are those of then, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter

from worker.core.alert_policies import AlertPolicies
from worker.core.events import PAIRS
from worker.core.messages import DecisionRecord, Observation
from worker.errors import OperatorError
from worker.runtime.alert_book import AlertBook
from worker.runtime.decider import Decider
from worker.runtime.seen import Seen
from worker.scoring.experts import Features, agreement_feature
from worker.scoring.scored import ScoringRules
from worker.scoring.scorer import Scorer

TEXT = "text"


@dataclass(frozen=True, slots=True)
class Rules:
    """What one side of a replay decides by."""

    scoring: ScoringRules
    policies: AlertPolicies
    view: Callable[[Observation], Features] = attrgetter("features")  # by another bundle, others


@dataclass(frozen=True, slots=True)
class Redecided:
    """An Observation's p-value and decision under other rules, or under the same ones again."""

    p_value: float | None
    decision: DecisionRecord


class Replay:
    """Decides anew, each partition index by itself. Give the Observations of each in order."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._deciders: dict[int, Decider] = {}

    def decide(self, observation: Observation) -> Redecided:
        """Return what the rules make of the next Observation."""
        judged = self._decider(partition_of(observation)).decide(self._seen(observation))
        return Redecided(judged.scored.assessment.p_value, judged.record)

    def _decider(self, partition: int) -> Decider:
        if partition not in self._deciders:
            scorer = Scorer(self._rules.scoring)
            self._deciders[partition] = Decider(scorer, AlertBook(self._rules.policies, {}))
        return self._deciders[partition]

    def _seen(self, observation: Observation) -> Seen:
        return Seen(
            source=observation.source,
            start=observation.window_start,
            end=observation.window_end,
            features=self._rules.view(observation),
            has_carried=bool(observation.modalities.carried),
            amends=observation.amends is not None,
            silent_after=observation.silent_after,
            observation=observation.observation_id,
            said=tuple(each.feedback for each in observation.heeded),
        )


def partition_of(observation: Observation) -> int:
    """Return the partition index of its inputs, which is the one that it was learned in."""
    return observation.inputs[0].partition if observation.inputs else 0


def in_order(observations: Iterable[Observation]) -> Iterator[Observation]:
    """Pass Observations on that stand in the order in which they were learned.

    Raises OperatorError at the first that does not.
    """
    last: dict[int, int] = {}
    for one in observations:
        partition = partition_of(one)
        before = last.get(partition, -1)
        if one.number < before or (one.number == before and one.amends is None):
            raise OperatorError(
                f"Observation {one.observation_id} is number {one.number} of partition {partition}"
                f" and comes after number {before}: give those of one run, in their order."
            )
        last[partition] = one.number
        yield one


def text_dim(observations: Iterable[Observation]) -> int:
    """Return the dimension of the caption embeddings; 1 where there are none, as none is needed."""
    return next(
        (each.features[TEXT].shape[-1] for each in observations if TEXT in each.features), 1
    )


def pairs(observations: Iterable[Observation]) -> tuple[str, ...]:
    """Return the pairs of modalities whose agreement a bundle has measured."""
    found = {name for each in observations for name in each.features}
    return tuple(pair for pair in PAIRS if agreement_feature(pair) in found)
