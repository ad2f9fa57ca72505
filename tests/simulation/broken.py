"""The protocol with one of its rules broken, to show that the simulation would notice."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from unittest.mock import patch

from tests.simulation.check import check
from worker.adapters.memory_groups import Group
from worker.adapters.memory_log import MemoryLog
from worker.core import ledger
from worker.core.ports import Output, StateLog, TopicPartition
from worker.core.source_pairing import SourcePairing
from worker.runtime import recoveries, recovery, shard
from worker.runtime.judge import Judge
from worker.runtime.recovery import Recovered, RecoveryRules
from worker.runtime.state_records import IndexState

Broken = AbstractContextManager[object]


def commits_what_is_still_needed() -> Broken:
    """Offsets of everything that was read are committed."""
    return patch.object(ledger.OffsetLedger, "committable", lambda self: dict(self.following))


def zombies_may_commit() -> Broken:
    """The group accepts commits of members that it has replaced."""
    return patch.object(Group, "is_current", lambda *_: True)


def outputs_stand_outside_of_the_transaction() -> Broken:
    """What is written is visible although its commit fails."""
    append = MemoryLog.append

    def visible(self: MemoryLog, output: Output, transaction: object = None) -> None:
        append(self, output)

    return patch.object(MemoryLog, "append", visible)


def the_state_is_not_recovered() -> Broken:
    """A successor begins at the committed offsets and knows nothing."""

    def cold(
        partitions: Collection[TopicPartition], log: StateLog, rules: RecoveryRules
    ) -> Recovered | None:
        found = recovery.recover(partitions, log, rules)
        if found is None:
            return None
        offsets = {each: position.committed for each, position in found.positions.items()}
        return recovery.cold_state(offsets, rules, IndexState(rules.group, found.index.number))

    return patch.object(recoveries, "recover", cold)


def what_was_taken_in_is_taken_in_again() -> Broken:
    """A successor does not know up to where late events and dead letters are out already."""

    def forgetful(
        partitions: Collection[TopicPartition], log: StateLog, rules: RecoveryRules
    ) -> Recovered | None:
        found = recovery.recover(partitions, log, rules)
        if found is None or not found.checkpoints:
            return found
        positions = {p: replace(at, taken=at.committed) for p, at in found.positions.items()}
        return replace(found, positions=positions)

    return patch.object(recoveries, "recover", forgetful)


def carried_captions_are_forgotten() -> Broken:
    """A restored source does not know the caption that it carries."""
    restore = SourcePairing.restore

    def partial_restore(self: SourcePairing, state: object, events: object) -> None:
        restore(self, replace(state, carried=None), events)  # type: ignore[type-var,arg-type]  # a broken variant

    return patch.object(SourcePairing, "restore", partial_restore)


def alerts_are_forgotten() -> Broken:
    """A successor does not know of open alerts."""
    return patch.object(shard, "Judge", partial(_without_alerts, Judge))


def _without_alerts(judge: Callable[..., Judge], *parts: object) -> Judge:
    return judge(*parts[:-1], ())


_ALL: tuple[Callable[[], Broken], ...] = (
    commits_what_is_still_needed,
    zombies_may_commit,
    outputs_stand_outside_of_the_transaction,
    the_state_is_not_recovered,
    what_was_taken_in_is_taken_in_again,
    carried_captions_are_forgotten,
    alerts_are_forgotten,
)
VARIANTS = {each.__name__: each for each in _ALL}
SEEDS = 150  # after which a broken rule counts as not noticed


def is_noticed(name: str) -> bool:
    """Tell whether a seed fails under this variant."""
    with VARIANTS[name]():
        return any(_fails(seed) for seed in range(SEEDS))


def _fails(seed: int) -> bool:
    try:
        return bool(check(seed).findings)
    except Exception:
        return True  # the worker itself has noticed
