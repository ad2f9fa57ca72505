"""Learned numbers had again: those that were stored, and the Observations learned since."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from worker.core.messages import Lesson, read_lesson, read_number
from worker.core.ports import StateLog, TopicPartition
from worker.core.source_state import LearnedFrom
from worker.runtime.state_records import read_numbers
from worker.scoring.joint import with_joint
from worker.scoring.recent import Mark, Meant
from worker.scoring.scored import Scored, ScorerState, ScoringRules
from worker.scoring.scorer import Scorer
from worker.scoring.sources import MissingMomentsError


@dataclass(frozen=True, slots=True)
class Origin:
    """How Observations name what a fusion made: as the live `model`, or as a `bundle` in shadow.

    A scorer learns from what its own fusion made, which may have been in shadow before it was the
    live one, or the other way round.
    """

    model: str
    bundle: str

    def live(self, lesson: Lesson) -> Lesson:
        """Return what the live scorer learns. Raises ValueError where it was not there."""
        return lesson if lesson.model == self.model else self._of_shadow(lesson)

    def in_shadow(self, lesson: Lesson) -> Lesson:
        """Return what the scorer of a bundle in shadow learns. Raises ValueError as `live`."""
        is_own = lesson.shadow is not None and lesson.shadow.digest == self.bundle
        return self.live(lesson) if not is_own else self._of_shadow(lesson)

    def _of_shadow(self, lesson: Lesson) -> Lesson:
        own = lesson.shadow
        if own is None or own.digest != self.bundle:
            raise ValueError("an Observation lacks what a bundle made of it")
        return replace(
            lesson,
            features=with_joint(lesson.features, own.features),
            assessment=own.assessment,
            raw_scores=own.raw_scores,
        )


class Relearning:
    """A scorer on its way to where it was; `learned` is what that was, by source."""

    def __init__(
        self,
        rules: ScoringRules,
        state: ScorerState,
        learned: Mapping[str, LearnedFrom],
        view: Callable[[Lesson], Lesson],
    ) -> None:
        """Begin with the `state` of all sources; a `view` says what it looks at in a Lesson."""
        self.learned = learned
        self._view = view
        pool = tuple(name for name in state.pool if name in learned)
        self.scorer = Scorer(rules, replace(state, pool=pool))

    def restore(self, numbers: dict[str, bytes]) -> None:
        """Take up what was stored. Raises StateRecordError, ValueError or KeyError."""
        for source, each in self.learned.items():
            if each.snapshot is not None:
                stored = read_numbers(numbers.pop(source))
                if stored.moments != each.snapshot:
                    raise ValueError("a source's stored numbers are not those of its state")
                self.scorer.restore(source, each, stored.arrays)

    def is_wanted(self, source: str, number: int) -> bool:
        """Tell whether an Observation was learned since."""
        since = self.learned.get(source)
        return since is not None and since.first <= number <= since.last

    def learn(self, lesson: Lesson) -> None:
        """Learn the next Observation. Raises ValueError where it lacks what was learned."""
        seen = self._view(lesson)
        self.scorer.relearn(
            seen.number,
            seen.source,
            seen.features,
            seen.window_start,
            Scored(seen.assessment, dict(seen.raw_scores), {}),
            carried=seen.carried,
            mark=Mark(seen.observation_id, seen.alert_id),
            heeded=[
                (each.feedback.label, Meant(each.feedback.alert_id, each.feedback.observation_id))
                for each in seen.heeded
            ],
        )

    def is_complete(self) -> bool:
        """End it; tell whether all was there."""
        try:
            self.scorer.restored(self.learned.items())
        except MissingMomentsError:
            return False  # it stands behind the open transaction of somebody who is gone
        return True


def relearn(
    scorers: Sequence[Relearning], log: StateLog, partition: TopicPartition, moments: int
) -> bool:
    """Let scorers learn again from the Observations up to number `moments`.

    Return whether all of them could be seen. Raises StateRecordError, ValueError or KeyError.
    """
    for lesson in _since(log, partition, scorers, moments):
        for each in scorers:
            if each.is_wanted(lesson.source, lesson.number):
                each.learn(lesson)
    return all(each.is_complete() for each in scorers)


def _since(
    log: StateLog, partition: TopicPartition, scorers: Sequence[Relearning], moments: int
) -> Iterator[Lesson]:
    """Yield the Observations of what was learned since the numbers were stored, in order."""
    learned = chain.from_iterable(each.learned.values() for each in scorers)
    first = min((each.first for each in learned if each.first <= each.last), default=None)
    if first is None:
        return

    def is_wanted(source: str, number: int) -> bool:
        return any(each.is_wanted(source, number) for each in scorers)

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
