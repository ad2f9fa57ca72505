"""Topics as a group leaves them that has worked for long: many sources, all of them full-grown.

What takes a day to come about is written at once: older Observations, and the state as of their
end. From there on a real worker goes on, over a real Kafka; only its features are drawn.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.benchmarks.features import Looks, full_grown
from tests.chaos.stream import sources
from worker.adapters.kafka.fencing import transactional_prefix
from worker.adapters.kafka.input_log import KafkaInputLog
from worker.adapters.kafka.outbox import KafkaOutbox
from worker.adapters.kafka.sink import KafkaSink
from worker.adapters.kafka.topic_checks import inputs
from worker.config import Config
from worker.core.alerts import NOTHING
from worker.core.checkpoint import Checkpoint, write_checkpoint
from worker.core.events import ContentType, Event, Modality, Record
from worker.core.moment import ClosedBy, Moment
from worker.core.policy import Budget
from worker.core.ports import Committed, CommitUnit, Output, Ownership, TopicPartition
from worker.core.rfc3339 import seconds
from worker.core.source_state import LearnedFrom, SourceState
from worker.errors import FailedRunError
from worker.runtime.decider import Judged
from worker.runtime.rules import WorkerRules
from worker.runtime.seen import decision_record
from worker.runtime.state_records import IndexState, StateWriter
from worker.runtime.topics import topic_of_modality
from worker.scoring.pool import MAX_SOURCES
from worker.scoring.scored import ScorerState
from worker.scoring.scorer import Scorer
from worker.scoring.state import State
from worker.stages import Embedded

DAY_MOMENTS = 86_400  # of one source
FRAMES_PER_MOMENT = 10  # in the older Observations
_BODIES = 50  # different older Observations
_PLACEHOLDER = 777_777_777_777  # the number that is replaced in them
_SOURCES_PER_UNIT = 25
_JOIN_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class History:
    """What there is to be, over all indices: sources, older Observations, and the time they end."""

    sources: int
    indices: int
    older: int
    end: int  # microseconds since the epoch

    def names(self, index: int) -> list[str]:
        """Return the sources of a partition index."""
        return sources(self.sources, self.indices)[index :: self.indices]

    def moments(self, index: int) -> int:
        """Return the number of the last Moment of an index: that of a day."""
        return DAY_MOMENTS * len(self.names(index))


def append_older(config: Config, rules: WorkerRules, history: History) -> int:
    """Append the older Observations; return their bytes."""
    sink, size = KafkaSink(config.kafka), 0
    each = history.older // history.indices
    try:
        for index in range(history.indices):
            bodies = [*_bodies(rules, history, index)]
            last = history.moments(index)
            for number in range(last - each + 1, last + 1):
                body = bodies[number % len(bodies)]
                value = (body.value or b"").replace(b"%d" % _PLACEHOLDER, b"%d" % number)
                sink.append(Output(body.topic, body.key, value, body.headers, index))
                size += len(value)
        sink.flush()
    finally:
        sink.close()
    return size


def commit_state(config: Config, rules: WorkerRules, history: History) -> None:
    """Commit the state as of then, in the group's name. Raises FailedRunError or LogError."""
    numbers = full_grown(rules.recovery.scoring.text_dim)
    outbox = KafkaOutbox(config.kafka, f"{transactional_prefix(config.kafka.group_id)}history")
    log = KafkaInputLog(config.kafka, inputs(config.topics))
    try:
        ownership = _joined(log, 3 * history.indices)
        for index in range(history.indices):
            for unit in _units(config, rules, history, index, numbers):
                outbox.submit(unit, ownership).result()
                log.poll(0)
    finally:
        outbox.close(5)
        log.close()


def _bodies(rules: WorkerRules, history: History, index: int) -> Iterator[Output]:
    """Yield Observations with a placeholder for their number, as a worker writes them."""
    scoring = rules.recovery.scoring
    looks, scorer = Looks(scoring.text_dim), Scorer(scoring)
    for number, name in enumerate((history.names(index) * _BODIES)[:_BODIES]):
        moment = _moment(rules, name, index, history.end - seconds(number + 1))
        features = looks.features([index, number], captioned=number % 4 == 0)
        embedded = Embedded(moment, features["fused"], {}, features, ())
        scored = scorer.score(name, features, moment.start, carried=False)
        judged = Judged(
            scored, NOTHING, decision_record(name, NOTHING), Budget(rules.recovery.scoring.alpha)
        )
        outputs, _ = rules.composer.compose(embedded, judged, _PLACEHOLDER)
        yield outputs[0]


def _moment(rules: WorkerRules, source: str, index: int, start: int) -> Moment:
    topics = {each: topic for topic, each in rules.shard.envelope.modality_of_topic.items()}
    kinds = [Modality.FRAME] * FRAMES_PER_MOMENT + [Modality.AUDIO]
    events = tuple(
        Event(
            source=source,
            modality=kind,
            id=f"{kind}-{start}-{place}",
            time=start + seconds(place / len(kinds)),
            content_type=ContentType("image/jpeg"),
            record=Record(topics[kind], index, place, start, source.encode(), b""),
        )
        for place, kind in enumerate(kinds)
    )
    return Moment(source, start, start + seconds(1), events, ClosedBy.WATERMARK)


def _units(
    config: Config, rules: WorkerRules, history: History, index: int, numbers: State
) -> Iterator[CommitUnit]:
    """Yield the commits of an index, a few sources each; all are one by their number."""
    writer = StateWriter(config.topics.snapshots, index)
    moments, names = history.moments(index), history.names(index)
    scorer = ScorerState(moments, moments, tuple(names[:MAX_SOURCES]))
    shared = IndexState(config.kafka.group_id, 1, 0, moments, history.end, scorer)
    learned = LearnedFrom(snapshot=moments, first=moments + 1, last=moments)
    for start in range(0, len(names), _SOURCES_PER_UNIT):
        outputs: list[Output] = []
        for name in names[start : start + _SOURCES_PER_UNIT]:
            outputs.append(writer.numbers(moments, name, numbers))
            outputs.append(writer.source(1, SourceState(name, None, (), None, learned)))
        yield CommitUnit((*outputs, writer.index(shared)), _offsets(config, rules, history, index))


def _offsets(
    config: Config, rules: WorkerRules, history: History, index: int
) -> dict[TopicPartition, Committed]:
    """Return the beginnings of the inputs: what the sources sent before is gone from them."""
    start = Checkpoint(number=1, offset=0, taken=0, newest=history.end, meaning=rules.shard.meaning)
    committed = Committed(0, write_checkpoint(start))
    topics: Sequence[str] = tuple(topic_of_modality(config).values())
    return {TopicPartition(topic, index): committed for topic in topics}


def _joined(log: KafkaInputLog, partitions: int) -> Ownership:
    deadline = time.monotonic() + _JOIN_SECONDS
    while time.monotonic() < deadline:
        polled = log.poll(0.1)
        if polled.ownership is not None and len(polled.assignment) == partitions:
            return polled.ownership
    raise FailedRunError(f"the group was not joined in {_JOIN_SECONDS:.0f} s")
