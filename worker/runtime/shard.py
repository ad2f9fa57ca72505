"""One partition index: records in, outputs and offsets out, all in one thread and one order.

push -> advance -> Moments -> (encoded elsewhere) -> settle -> take
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from worker.core.alerts import NOTHING, AlertPolicy, AlertState, Decision, Finding
from worker.core.envelope import EnvelopeRules, parse
from worker.core.events import MODALITIES, Event, Modality, Record
from worker.core.ledger import OffsetLedger
from worker.core.merge import Merger
from worker.core.messages import Alert, capped_value, dead_letter_headers, late_headers
from worker.core.moment import Closed, Duplicate, Late, Moment, Outcome, Released
from worker.core.pairing import Pairing
from worker.core.ports import CommitUnit, Output, TopicPartition
from worker.core.source_pairing import PairingRules
from worker.errors import InvalidEventError, Reason
from worker.pipeline import Embedded
from worker.runtime.compose import Composer, OutputTopics
from worker.scoring.scorer import Scored, Scorer, ScoringRules

MAX_ALERT_STATES = 10_000  # sources whose alerts are remembered, the last ones decided about


@dataclass(frozen=True, slots=True)
class ShardRules:
    """All that one partition index needs to know."""

    envelope: EnvelopeRules
    pairing: PairingRules
    scoring: ScoringRules
    alerts: AlertPolicy
    topics: OutputTopics
    max_dead_letter_bytes: int
    worker: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one Moment."""

    moment: Moment
    scored: Scored
    decision: Decision
    alert: Alert | None


class Shard:
    """The state machine of one partition index. Not thread-safe."""

    def __init__(
        self, partitions: Iterable[TopicPartition], rules: ShardRules, composer: Composer
    ) -> None:
        self.partitions = frozenset(partitions)
        self._rules = rules
        self._composer = composer
        self._merger = Merger(self.partitions)
        self._pairing = Pairing(rules.pairing)
        self._ledger = OffsetLedger()
        self._scorer = Scorer(rules.scoring)
        self._alerts: OrderedDict[str, AlertState] = OrderedDict()
        self._outputs: list[Output] = []
        self._output_bytes = 0
        self._closed: deque[Moment] = deque()  # not yielded yet
        self._awaited: deque[Moment] = deque()  # yielded and not settled yet
        self._committed: Mapping[TopicPartition, int] = {}
        self.outcomes: Counter[tuple[Modality, str]] = Counter()  # taken by the telemetry
        self.rejections: Counter[tuple[str, Reason]] = Counter()
        self.ingested: list[int] = []  # times of the events taken in, likewise

    def push(self, partition: TopicPartition, records: Iterable[Record]) -> None:
        """Add records of one partition in offset order."""
        self._merger.push(partition, records)

    def advance(self, fully_read: frozenset[TopicPartition], until: int) -> Iterator[Moment]:
        """Yield the Moments that close. Stop iterating at will; what is left is kept.

        `fully_read` partitions hold nothing that was appended at or before `until`, microseconds.
        """
        yield from self._due()
        while (record := self._merger.pop(fully_read, until)) is not None:
            self._take_in(record)
            yield from self._due()
        if fully_read >= self.partitions and not self._merger.size:
            self._follow(self._pairing.advance(until))
            yield from self._due()

    def settle(self, embedded: Embedded) -> Settled | None:
        """Score, decide and learn one Moment, in the order in which the Moments were yielded.

        None where all of its media turned out to be undecodable.
        """
        original = self._awaited.popleft()
        moment = embedded.moment
        for rejected in embedded.rejected:
            self._dead_letter(rejected.event.record, rejected.reason, rejected.message, "decode")
            self._count(rejected.event.modality, "dead_letter")
        for event in _events_of(original):
            self._release(event.record)
        return self._judge(moment, embedded) if moment.events else None

    def _judge(self, moment: Moment, embedded: Embedded) -> Settled:
        carried = bool(moment.carried_modalities)
        scored = self._scorer.score(moment.source, embedded.features, moment.start, carried=carried)
        decision = self._decide(moment, scored)
        self._scorer.learn(moment.source, embedded.features, moment.start, scored, carried=carried)
        outputs, alert = self._composer.compose(embedded, scored, decision)
        self._emit(*outputs)
        for event in moment.events:
            self._count(event.modality, "paired")
        return Settled(moment, scored, decision, alert)

    def take(self) -> CommitUnit | None:
        """Return what is new since the last call: outputs, and the offsets needed no more."""
        offsets = self._ledger.committable()
        moved = {p: o for p, o in offsets.items() if o != self._committed.get(p)}
        if not self._outputs and not moved:
            return None
        unit = CommitUnit(tuple(self._outputs), dict(offsets))
        self._outputs, self._output_bytes, self._committed = [], 0, dict(offsets)
        return unit

    @property
    def waiting_outputs(self) -> int:
        """Outputs that `take` has not returned yet."""
        return len(self._outputs)

    @property
    def waiting_bytes(self) -> int:
        """The bytes of the values of those outputs."""
        return self._output_bytes

    @property
    def pairing_bytes(self) -> int:
        """The bytes of the records that wait for their Moment."""
        return sum(size for _, size in self._pairing.buffered().values())

    @property
    def ahead(self) -> frozenset[TopicPartition]:
        """The partitions to pause, since enough of them is buffered."""
        return self._merger.ahead

    def buffered(self) -> dict[Modality, tuple[int, int]]:
        """Return per modality the records that were read and not settled, and their bytes."""
        entries, sizes = Counter[Modality](), Counter[Modality]()
        for modality, (count, size) in self._pairing.buffered().items():
            entries[modality] += count
            sizes[modality] += size
        for moment in (*self._closed, *self._awaited):
            for event in moment.events:
                entries[event.modality] += 1
                sizes[event.modality] += event.record.size
        for partition, (count, size) in self._merger.sizes().items():
            modality = self._rules.envelope.modality_of_topic[partition.topic]
            entries[modality] += count
            sizes[modality] += size
        return {modality: (entries[modality], sizes[modality]) for modality in MODALITIES}

    @property
    def sources(self) -> tuple[int, int]:
        """How many sources are active, and how many are silent."""
        return self._pairing.active_sources, self._pairing.silent_sources

    @property
    def oldest_watermark(self) -> int | None:
        """The smallest event time up to which an active source's windows are closed."""
        return self._pairing.oldest_watermark()

    def _due(self) -> Iterator[Moment]:
        while self._closed:
            moment = self._closed.popleft()
            self._awaited.append(moment)
            yield moment

    def _take_in(self, record: Record) -> None:
        self._ledger.add(TopicPartition(record.topic, record.partition), record.offset)
        self._follow(self._pairing.advance(record.timestamp))
        try:
            event = parse(record, self._rules.envelope)
        except InvalidEventError as error:
            self._dead_letter(record, error.reason, error.message, "envelope")
            self._count(self._rules.envelope.modality_of_topic[record.topic], "dead_letter")
            self._release(record)
            return
        self.ingested.append(event.time)
        self._follow(self._pairing.add(event))

    def _follow(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            match outcome:
                case Closed(moment, released):
                    self._hold(moment)
                    for event in released:
                        self._release(event.record)
                    self._closed.append(moment)
                case Late(event, watermark):
                    self._late(event, watermark)
                case Duplicate(event):
                    self._count(event.modality, "duplicate")
                    self._release(event.record)
                case Released(event):
                    self._release(event.record)

    def _decide(self, moment: Moment, scored: Scored) -> Decision:
        finding = Finding(moment.start, moment.end, scored.assessment.p_value, scored.reasons)
        state = self._alerts.get(moment.source, AlertState())
        after, decision = self._rules.alerts.decide(state, finding)
        if after is not state or decision is not NOTHING:
            self._alerts[moment.source] = after
            self._alerts.move_to_end(moment.source)
            if len(self._alerts) > MAX_ALERT_STATES:
                self._alerts.popitem(last=False)
        return decision

    def _hold(self, moment: Moment) -> None:
        for event in _events_of(moment):
            record = event.record
            self._ledger.hold(TopicPartition(record.topic, record.partition), record.offset)

    def _release(self, record: Record) -> None:
        self._ledger.release(TopicPartition(record.topic, record.partition), record.offset)

    def _late(self, event: Event, watermark: int) -> None:
        record = event.record
        headers = late_headers(record, watermark)
        self._emit(Output(self._rules.topics.late_events, record.key, record.value, headers))
        self._count(event.modality, "late")
        self._release(record)

    def _dead_letter(self, record: Record, reason: Reason, message: str, stage: str) -> None:
        rest = record.size - len(record.value or b"")
        value, cap_headers = capped_value(
            record.value, max(0, self._rules.max_dead_letter_bytes - rest)
        )
        headers = dead_letter_headers(record, stage, reason, message, self._rules.worker)
        self._emit(
            Output(self._rules.topics.dead_letters, record.key, value, headers + cap_headers)
        )
        self.rejections[record.topic, reason] += 1

    def _emit(self, *outputs: Output) -> None:
        self._outputs += outputs
        self._output_bytes += sum(len(output.value or b"") for output in outputs)

    def _count(self, modality: Modality, outcome: str) -> None:
        self.outcomes[modality, outcome] += 1


def _events_of(moment: Moment) -> tuple[Event, ...]:
    return moment.events if moment.carried is None else (*moment.events, moment.carried)
