"""The protocol with one of its rules broken, to show that the simulation would notice."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from unittest.mock import patch

from tests.simulation.log import LateFuture
from worker.adapters.memory_groups import Group
from worker.adapters.memory_log import MemoryLog
from worker.adapters.memory_ports import MemoryOutbox
from worker.core import ledger, source_pairing
from worker.core.caution import Attempts, Care
from worker.core.events import Event
from worker.core.inbox import Inbox
from worker.core.merge import Merger
from worker.core.moment import Late, Outcome
from worker.core.pairing import Pairing
from worker.core.ports import (
    CommitUnit,
    LogError,
    Output,
    Ownership,
    StateLog,
    TopicPartition,
)
from worker.core.source_pairing import SourcePairing
from worker.runtime import clock, recoveries, recovery, shard
from worker.runtime.gate import Gate
from worker.runtime.judge import Judge
from worker.runtime.recovery import Recovered, RecoveryRules
from worker.runtime.restoring import Restoring
from worker.runtime.state_records import IndexState
from worker.scoring.scored import ScorerState
from worker.scoring.scorer import Scorer

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
        if found is None or found.is_cold:
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
    *others, _, discoveries = parts
    return judge(*others, (), discoveries)


def the_shadow_is_forgotten() -> Broken:
    """A successor learns anew what is normal for a bundle in shadow."""

    def forgetful(
        partitions: Collection[TopicPartition], log: StateLog, rules: RecoveryRules
    ) -> Recovered | None:
        found = recovery.recover(partitions, log, rules)
        if found is None or rules.shadow is None:
            return found
        moments = found.index.scorer.moments
        return replace(found, shadow=Scorer(rules.shadow.scoring, ScorerState(moments, moments)))

    return patch.object(recoveries, "recover", forgetful)


def moments_under_way_hold_nothing() -> Broken:
    """A record counts as needed no more once pairing has let it go."""
    release = ledger.OffsetLedger.release

    def at_once(self: ledger.OffsetLedger, partition: TopicPartition, offset: int) -> None:
        if offset in self._holders[partition]:
            self._holders[partition][offset] = 1
        release(self, partition, offset)

    return patch.object(ledger.OffsetLedger, "release", at_once)


def a_failed_future_is_ignored() -> Broken:
    """A commit that failed counts as done."""

    def done(self: LateFuture) -> None:
        if not Future.done(self):
            self._work().exception()
            self.set_result(None)

    return patch.object(LateFuture, "_do", done)


def memory_is_kept_after_an_abort() -> Broken:
    """After an aborted unit the worker goes on as if nothing were lost."""
    return _forgiving("aborted", again=False)


def a_unit_of_unknown_outcome_is_repeated() -> Broken:
    """A commit that was not answered is taken for one that failed."""
    return _forgiving("unknown_outcome", again=True)


def _forgiving(reason: str, *, again: bool) -> Broken:
    commit = MemoryOutbox._commit

    def forgiving(self: MemoryOutbox, unit: CommitUnit, ownership: Ownership) -> None:
        try:
            commit(self, unit, ownership)
        except LogError as error:
            if error.reason != reason:
                raise
            if again:
                commit(self, unit, ownership)

    return patch.object(MemoryOutbox, "_commit", forgiving)


def all_topics_share_a_front() -> Broken:
    """A clip that comes behind the frames of its time is late."""
    lateness = SourcePairing.lateness

    def by_shared_front(self: SourcePairing, event: Event) -> int | None:
        front = max(self._fronts.values(), default=event.time) - self._rules.grace
        end = self._rules.window_start(event.time) + self._rules.window
        if event.correlation_id is None and end <= front:
            return front
        return lateness(self, event)

    return patch.object(SourcePairing, "lateness", by_shared_front)


def all_sources_share_a_front() -> Broken:
    """A clock that is ahead makes everybody else late."""
    add, fronts = Pairing.add, dict[int, int]()

    def by_shared_front(self: Pairing, event: Event) -> Iterator[Outcome]:
        fronts[id(self)] = max(fronts.get(id(self), 0), event.time)
        watermark = fronts[id(self)] - self._rules.grace
        if event.time + self._rules.window <= watermark:
            return iter((Late(event, watermark),))
        return add(self, event)

    return patch.object(Pairing, "add", by_shared_front)


def unread_partitions_are_taken_as_read() -> Broken:
    """Records are not held back for earlier ones of other topics."""
    advance = shard.Shard.advance
    return patch.object(
        shard.Shard, "advance", lambda self, _, until: advance(self, self.partitions, until)
    )


def a_drain_leaves_windows_open() -> Broken:
    """A drain reads to the end and ends."""
    return patch.object(Pairing, "flush", lambda _: iter(()))


def announcements_are_forgotten() -> Broken:
    """A process does not know what those before it had announced and ended over."""

    def unaware(
        partitions: Collection[TopicPartition], log: StateLog, rules: RecoveryRules
    ) -> Recovered | None:
        found = recovery.recover(partitions, log, rules)
        return found and replace(found, index=replace(found.index, attempts=Attempts()))

    return patch.object(recoveries, "recover", unaware)


def each_index_is_careful_by_itself() -> Broken:
    """Indices of one process announce at the same time, and accuse each other's events."""
    return patch.object(
        shard, "Gate", lambda member, _, closed, before: Gate(member, Care(), closed, before)
    )


def silence_is_not_told() -> Broken:
    """The last Moment before a silence does not say so."""
    return patch.object(source_pairing, "last_marked", iter)


def what_waits_to_be_heeded_is_forgotten() -> Broken:
    """A successor does not know what people have said and no Moment came after."""
    return patch.object(Inbox, "of", lambda *_: ())


def full_queues_are_not_paused() -> Broken:
    """Partitions are read on, however many of their records wait to be merged."""
    return patch.object(Merger, "ahead", frozenset())


def the_wall_clock_is_taken() -> Broken:
    """Time jumps with the host's clock."""
    return patch.object(clock, "steady_clock", lambda wall, _: lambda: wall() // 1000)


def references_are_forgotten() -> Broken:
    """A successor does not know which frame stands for those that differ from it by noise."""

    def unaware(
        partitions: Collection[TopicPartition], log: StateLog, rules: RecoveryRules
    ) -> Recovered | None:
        found = recovery.recover(partitions, log, rules)
        return found and replace(found, references={})

    return patch.object(recoveries, "recover", unaware)


def what_is_read_again_is_not_counted() -> Broken:
    """A caption that an earlier process has counted, and that is still carried, has no end."""
    return patch.object(Restoring, "settled", ())


# What the audit says of each: the rule that a finding of some seed has to name, and one that did.
_ALL: dict[Callable[[], Broken], tuple[str, int]] = {
    commits_what_is_still_needed: ("lost", 1),
    moments_under_way_hold_nothing: ("lost", 1),
    zombies_may_commit: ("twice", 33),
    outputs_stand_outside_of_the_transaction: ("StateError", 3),
    a_failed_future_is_ignored: ("lost", 6),
    memory_is_kept_after_an_abort: ("lost", 32),
    a_unit_of_unknown_outcome_is_repeated: ("twice", 16),
    the_state_is_not_recovered: ("twice", 1),
    what_was_taken_in_is_taken_in_again: ("twice", 1),
    carried_captions_are_forgotten: ("rest", 5),
    alerts_are_forgotten: ("decisions", 156),
    the_shadow_is_forgotten: ("shadow", 4),
    all_topics_share_a_front: ("oracle", 0),
    all_sources_share_a_front: ("oracle", 0),
    unread_partitions_are_taken_as_read: ("oracle", 0),
    a_drain_leaves_windows_open: ("StateError", 3),
    announcements_are_forgotten: ("rest", 2),
    references_are_forgotten: ("features", 5),
    each_index_is_careful_by_itself: ("contents", 32),
    silence_is_not_told: ("silence", 4),
    what_waits_to_be_heeded_is_forgotten: ("feedback", 1),
    the_wall_clock_is_taken: ("contents", 68),
    full_queues_are_not_paused: ("bounds", 7),
    what_is_read_again_is_not_counted: ("counts", 2),
}
VARIANTS = {each.__name__: (each, *found) for each, found in _ALL.items()}
