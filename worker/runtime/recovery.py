"""How a new owner of a partition index comes to know what the one before it knew.

committed offsets and their metadata -> the state records of that commit -> the Observations that
were learned since each source's numbers were stored
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from worker.core.checkpoint import Checkpoint, CheckpointError, Meaning, read_checkpoint
from worker.core.ports import Committed, StateLog, TopicPartition
from worker.core.references import Remembered
from worker.core.source_state import LearnedFrom, SourceState
from worker.errors import StateError
from worker.runtime.adapting import GIVE_UP, adapted
from worker.runtime.reference_records import read_references
from worker.runtime.relearning import Origin, Relearning, relearn
from worker.runtime.state_records import (
    REFERENCE,
    SCORER,
    SHADOW,
    IndexState,
    Kind,
    ShadowState,
    StateRecordError,
    Stored,
    read_stored,
)
from worker.scoring.scored import ScorerState, ScoringRules
from worker.scoring.scorer import Scorer


@dataclass(frozen=True, slots=True)
class ShadowRules:
    """How a bundle in shadow is scored; `model` is the digest of what it learns by."""

    scoring: ScoringRules
    model: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class RecoveryRules:
    """What the recovering worker is set to. `topic_ids` are the brokers' ids of the inputs."""

    group: str
    snapshots: str
    observations: str
    scoring: ScoringRules
    origin: Origin
    meaning: Meaning
    topic_ids: Mapping[str, str]
    feedback: str | None = None  # the topic, which may be new, or be missed for a while
    shadow: ShadowRules | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """Where to read on, up to where records were taken in, and their largest append time."""

    committed: int
    taken: int
    newest: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """The state of a partition index as of its last commit, or of none where it `is_cold`.

    `shadow` is the scorer of a bundle in shadow. `outdated` names sources whose records do not say
    any more what is known of them, `superfluous` kinds of records of sources that mean nothing any
    more. `references` are what stands for the frames of sources.
    """

    index: IndexState
    states: tuple[SourceState, ...]
    scorer: Scorer
    shadow: Scorer | None
    positions: Mapping[TopicPartition, Position]
    is_cold: bool
    outdated: frozenset[str] = frozenset()
    superfluous: tuple[tuple[Kind, str], ...] = ()
    references: Mapping[str, Remembered] = field(default_factory=dict)

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
    events = [each for each in partitions if each.topic != rules.feedback]
    numbers = {checkpoints[each].number for each in events if each in checkpoints}
    if not checkpoints.keys() >= set(events) or len(numbers) != 1:
        return _cold(partitions, committed, log, stored, rules)
    if stored.index is None or stored.index.number not in numbers:
        return None  # its transaction, or the one of a newer commit, is not visible yet
    positions = _positions(partitions, committed, checkpoints, log)
    was = checkpoints[events[0]].meaning
    return _warm(positions, was, stored.index, stored, log, rules)


def cold_state(
    offsets: Mapping[TopicPartition, int], rules: RecoveryRules, before: IndexState
) -> Recovered:
    """Return a state that knows nothing, at these offsets, but goes on counting."""
    moments = before.scorer.moments
    nothing = ScorerState(moments, moments)
    scorer = Scorer(rules.scoring, nothing)
    shadow = None if rules.shadow is None else Scorer(rules.shadow.scoring, nothing)
    index = IndexState(
        before.group,
        before.number,
        before.number,
        before.closed,
        scorer=nothing,
        shadow=ShadowState(_shadow_model(rules), nothing),
        is_swapped=before.is_swapped,
    )
    positions = {each: Position(offset, offset, 0) for each, offset in offsets.items()}
    return Recovered(index, (), scorer, shadow, positions, is_cold=True)


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
    stored: Stored,
    rules: RecoveryRules,
) -> Recovered:
    """Begin without a state: at the offsets that somebody set, or the first time at the oldest."""
    before = stored.index
    if before is not None and all(each.topic == rules.feedback for each in committed):
        raise StateError(
            f"group {rules.group} has a history but its committed offsets are gone: say where to"
            " begin by `mmworker topics offsets --to earliest` or `--to latest`"
        )
    starts = {each: _start_of(each, committed, log) for each in partitions}
    cold = cold_state(starts, rules, before or IndexState(rules.group))
    return replace(
        cold, superfluous=_named(stored.numbers, stored.shadow_numbers, stored.references)
    )


def _start_of(
    partition: TopicPartition, committed: Mapping[TopicPartition, Committed], log: StateLog
) -> int:
    found = committed.get(partition)
    return log.bounds(partition)[0] if found is None else found.offset


def _positions(
    partitions: Iterable[TopicPartition],
    committed: Mapping[TopicPartition, Committed],
    checkpoints: Mapping[TopicPartition, Checkpoint],
    log: StateLog,
) -> dict[TopicPartition, Position]:
    """Return where to go on. Feedback that was never read begins at its oldest record."""
    positions: dict[TopicPartition, Position] = {}
    for each in partitions:
        start, checkpoint = _start_of(each, committed, log), checkpoints.get(each)
        positions[each] = (
            Position(start, start, 0)
            if checkpoint is None
            else Position(start, checkpoint.taken, checkpoint.newest)
        )
    return positions


def _warm(
    positions: Mapping[TopicPartition, Position],
    was: Meaning,
    index: IndexState,
    stored: Stored,
    log: StateLog,
    rules: RecoveryRules,
) -> Recovered | None:
    found = adapted(index, stored, was, rules.meaning, _shadow_model(rules))
    index, states = found.index, found.states
    live, shadow = _scorers(index, states, rules)
    partition = TopicPartition(rules.observations, next(iter(positions)).partition)
    try:
        references = read_references(stored.references, index.since, rules.meaning.model)
        live.restore(found.numbers)
        if shadow is not None:
            shadow.restore(found.shadow_numbers)
        both = [live] if shadow is None else [live, shadow]
        is_whole = relearn(both, log, partition, index.scorer.moments)
    except (StateRecordError, ValueError, KeyError) as error:
        raise StateError(
            f"the learned state of partition {partition.partition} cannot be had again from topics"
            f" {rules.snapshots} and {rules.observations} ({error}): {GIVE_UP}"
        ) from None
    if not is_whole:
        return None
    if index.attempts.by:
        index = replace(index, attempts=index.attempts.without(log.processes()))
    return Recovered(
        index=index,
        states=states,
        scorer=live.scorer,
        shadow=None if shadow is None else shadow.scorer,
        positions=positions,
        is_cold=False,
        outdated=found.outdated,
        superfluous=_named(
            found.numbers, found.shadow_numbers, stored.references.keys() - references.keys()
        ),
        references=references,
    )


def _named(
    numbers: Iterable[str], shadow_numbers: Iterable[str], references: Iterable[str]
) -> tuple[tuple[Kind, str], ...]:
    kinds = {SCORER: numbers, SHADOW: shadow_numbers, REFERENCE: references}
    return tuple((kind, name) for kind, names in kinds.items() for name in sorted(names))


def _shadow_model(rules: RecoveryRules) -> str:
    return "" if rules.shadow is None else rules.shadow.model


def _scorers(
    index: IndexState, states: Iterable[SourceState], rules: RecoveryRules
) -> tuple[Relearning, Relearning | None]:
    """Return the scorer, and that of a bundle in shadow, before they have learned again."""
    learned, in_shade = dict[str, LearnedFrom](), dict[str, LearnedFrom]()
    for each in states:
        if each.learned is not None:
            learned[each.source] = each.learned
        if each.shadow_learned is not None:
            in_shade[each.source] = each.shadow_learned
    live = Relearning(rules.scoring, index.scorer, learned, rules.origin.live)
    tried = rules.shadow
    if tried is None:
        return live, None
    view = tried.origin.in_shadow
    return live, Relearning(tried.scoring, index.shadow.scorer, in_shade, view)
