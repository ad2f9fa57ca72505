"""Learned numbers had again: those that were stored, and the Observations learned since."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from worker.core.messages import Lesson, read_lesson, read_number
from worker.core.ports import StateLog, TopicPartition
from worker.core.source_state import LearnedFrom, SourceState
from worker.runtime.state_records import IndexState, Stored, read_numbers
from worker.scoring.recent import Mark, Meant
from worker.scoring.scored import Scored, ScoringRules
from worker.scoring.scorer import Scorer
from worker.scoring.sources import MissingMomentsError


def relearned(
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
            mark=Mark(lesson.observation_id, lesson.alert_id),
            heeded=[
                (each.feedback.label, Meant(each.feedback.alert_id, each.feedback.observation_id))
                for each in lesson.heeded
            ],
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
