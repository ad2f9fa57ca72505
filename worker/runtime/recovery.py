"""How a new owner of a partition index comes to know what the one before it knew.

committed offsets and their metadata -> the state records of that commit -> the Observations that
were learned since each source's numbers were stored
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from worker.core.checkpoint import Checkpoint, CheckpointError, Meaning, read_checkpoint
from worker.core.messages import Lesson, read_lesson, read_number
from worker.core.ports import Committed, StateLog, TopicPartition
from worker.core.source_state import LearnedFrom, SourceState
from worker.errors import StateError
from worker.runtime.state_records import (
    IndexState,
    StateRecordError,
    Stored,
    read_numbers,
    read_stored,
)
from worker.scoring.scorer import (
    MissingMomentsError,
    Scored,
    Scorer,
    ScorerState,
    ScoringRules,
)

GIVE_UP = "give the state up with `mmworker topics offsets --to committed`"


@dataclass(frozen=True, slots=True)
class RecoveryRules:
    """What the recovering worker is set to. `topic_ids` are the brokers' ids of the inputs."""

    group: str
    snapshots: str
    observations: str
    scoring: ScoringRules
    meaning: Meaning
    topic_ids: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Position:
    """Where to read on, up to where records were taken in, and their largest append time."""

    committed: int
    taken: int
    newest: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """The state of a partition index as of its last commit, or of none where it `is_cold`.

    `outdated` names sources whose records do not say any more what is known of them.
    """

    index: IndexState
    states: tuple[SourceState, ...]
    scorer: Scorer
    positions: Mapping[TopicPartition, Position]
    is_cold: bool
    outdated: frozenset[str] = frozenset()

    @property
    def clock(self) -> int:
        """The append time reached, microseconds; 0 before the first record."""
        return max(self.index.clock, *(each.newest for each in self.positions.values()))


def recover(
    partitions: Collection[TopicPartition], log: StateLog, rules: RecoveryRules
) -> Recovered | None:
    """Return the state of the index of these partitions; None while it cannot be seen yet.

    Raises StateError where the operator has to decide, LogError where the log fails.
    """
    committed = log.committed(partitions)
    if committed is None:
        return None
    index = next(iter(partitions)).partition
    stored = _stored(log, TopicPartition(rules.snapshots, index), rules.group)
    checkpoints = _checkpoints(committed, rules)
    if len(checkpoints) < len(partitions) or len({c.number for c in checkpoints.values()}) > 1:
        return _cold(partitions, committed, log, stored.index, rules)
    number = next(iter(checkpoints.values())).number
    if stored.index is None or stored.index.number != number:
        return None  # its transaction, or the one of a newer commit, is not visible yet
    return _warm(committed, checkpoints, stored.index, stored, log, rules)


def cold_state(
    offsets: Mapping[TopicPartition, int], rules: RecoveryRules, before: IndexState
) -> Recovered:
    """Return a state that knows nothing, at these offsets, but goes on counting."""
    moments = before.scorer.moments
    scorer = Scorer(rules.scoring, ScorerState(moments, moments))
    index = IndexState(before.group, before.number, before.number, before.closed, 0, scorer.state)
    positions = {each: Position(offset, offset, 0) for each, offset in offsets.items()}
    return Recovered(index, (), scorer, positions, is_cold=True)


def _stored(log: StateLog, partition: TopicPartition, group: str) -> Stored:
    records = log.read(partition, log.bounds(partition)[0])
    try:
        stored = read_stored((record.key or b"", record.value) for record in records)
    except StateRecordError as error:
        raise StateError(f"topic {partition.topic}: {error}; {GIVE_UP}") from None
    if stored.index is not None and stored.index.group != group:
        raise StateError(
            f"topic {partition.topic} holds the state of group {stored.index.group}, not {group}:"
            " give each group output topics of its own"
        )
    return stored


def _checkpoints(
    committed: Mapping[TopicPartition, Committed], rules: RecoveryRules
) -> dict[TopicPartition, Checkpoint]:
    found: dict[TopicPartition, Checkpoint] = {}
    for partition, (offset, metadata) in committed.items():
        try:
            checkpoint = read_checkpoint(metadata)
        except CheckpointError as error:
            raise StateError(f"{error}: use that version, or {GIVE_UP}") from None
        if checkpoint is not None and checkpoint.offset == offset:  # else somebody has moved it
            _check_topic(partition, checkpoint, rules)
            found[partition] = checkpoint
    return found


def _check_topic(partition: TopicPartition, checkpoint: Checkpoint, rules: RecoveryRules) -> None:
    known = rules.topic_ids.get(partition.topic, "")
    if checkpoint.topic_id and known and checkpoint.topic_id != known:
        raise StateError(
            f"topic {partition.topic} was deleted and created anew since the group's last commit:"
            " begin with it anew by `mmworker topics offsets --to earliest`"
        )


def _cold(
    partitions: Collection[TopicPartition],
    committed: Mapping[TopicPartition, Committed],
    log: StateLog,
    before: IndexState | None,
    rules: RecoveryRules,
) -> Recovered:
    """Begin without a state: at the offsets that somebody set, or the first time at the oldest."""
    if before is not None and not committed:
        raise StateError(
            f"group {rules.group} has a history but its committed offsets are gone: say where to"
            " begin by `mmworker topics offsets --to earliest` or `--to latest`"
        )
    starts = {
        each: committed[each].offset if each in committed else log.bounds(each)[0]
        for each in partitions
    }
    return cold_state(starts, rules, before or IndexState(rules.group))


def _warm(
    committed: Mapping[TopicPartition, Committed],
    checkpoints: Mapping[TopicPartition, Checkpoint],
    index: IndexState,
    stored: Stored,
    log: StateLog,
    rules: RecoveryRules,
) -> Recovered | None:
    kept = [each.state for each in stored.sources if each.number > index.since]
    was = next(iter(checkpoints.values())).meaning
    states = _adapted(kept, was, rules.meaning)
    positions = {
        each: Position(committed[each].offset, checkpoint.taken, checkpoint.newest)
        for each, checkpoint in checkpoints.items()
    }
    partition = TopicPartition(rules.observations, next(iter(positions)).partition)
    try:
        scorer = _relearned(states, index, stored, log, partition, rules.scoring)
    except (StateRecordError, ValueError, KeyError) as error:
        raise StateError(
            f"the learned state of partition {partition.partition} cannot be had again from topics"
            f" {rules.snapshots} and {rules.observations} ({error}): {GIVE_UP}"
        ) from None
    if scorer is None:
        return None
    outdated = frozenset(each.source for each in kept) if was != rules.meaning else frozenset()
    if index.attempts.by:
        index = replace(index, attempts=index.attempts.without(log.processes()))
    return Recovered(index, states, scorer, positions, False, outdated)


def _adapted(states: Iterable[SourceState], was: Meaning, now: Meaning) -> tuple[SourceState, ...]:
    """Return the states as they are, or what is left of them under settings that mean otherwise."""
    differences, kept = now.differences(was), tuple(states)
    if not differences:
        return kept
    if any(state.held for state in kept):
        raise StateError(
            f"events wait that were read under other settings ({'; '.join(differences)}): set them"
            f" back and run `mmworker run --drain` first, or {GIVE_UP}"
        )
    if now.partitions != was.partitions:
        return ()  # the sources have moved
    if now.model != was.model:
        return tuple(replace(state, learned=None) for state in kept)
    return kept


def _relearned(
    states: Iterable[SourceState],
    index: IndexState,
    stored: Stored,
    log: StateLog,
    partition: TopicPartition,
    rules: ScoringRules,
) -> Scorer | None:
    """Return the scorer as it was; None while not all can be seen.

    Raises StateRecordError, ValueError or KeyError.
    """
    learned = {state.source: state.learned for state in states if state.learned is not None}
    pool = tuple(name for name in index.scorer.pool if name in learned)
    scorer = Scorer(rules, replace(index.scorer, pool=pool))
    for source, each in learned.items():
        if each.snapshot is not None:
            numbers = read_numbers(stored.numbers.pop(source))
            if numbers.moments != each.snapshot:
                raise ValueError("a source's stored numbers are not those of its state")
            scorer.restore(source, each, numbers.arrays)
    for lesson in _since(log, partition, learned, index.scorer.moments):
        scorer.relearn(
            lesson.number,
            lesson.source,
            lesson.features,
            lesson.window_start,
            Scored(lesson.assessment, dict(lesson.raw_scores), {}),
            carried=lesson.carried,
        )
    try:
        scorer.restored(learned.items())
    except MissingMomentsError:
        return None  # Observations stand behind the open transaction of somebody who is gone
    return scorer


def _since(
    log: StateLog, partition: TopicPartition, learned: Mapping[str, LearnedFrom], moments: int
) -> Iterator[Lesson]:
    """Yield the Observations of what was learned since the numbers were stored, in order."""
    first = min((each.first for each in learned.values() if each.first <= each.last), default=None)
    if first is None:
        return

    def is_wanted(source: str, number: int) -> bool:
        since = learned.get(source)
        return since is not None and since.first <= number <= since.last

    for record in log.read(partition, _start(log, partition, first, moments)):
        lesson = read_lesson(record.value or b"", is_wanted)
        if lesson is not None:
            yield lesson


def _start(log: StateLog, partition: TopicPartition, first: int, moments: int) -> int:
    """Return an offset at or before the Observation with number `first`, not far before it."""
    beginning, end = log.bounds(partition)
    back = 2 * (moments - first + 1) + 16
    while (start := end - back) > beginning:
        found = next(log.read(partition, start), None)
        if found is not None and (number := read_number(found.value or b"")) < first:
            return found.offset + first - number  # there is an offset for each number, or more
        back *= 2
    return beginning
