"""One partition index: records in, outputs and offsets out, all in one thread and one order.

push -> advance -> Moments -> (encoded elsewhere) -> settle -> take

What `take` returns carries the state too, so that a successor goes on exactly here.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from worker.core.checkpoint import Checkpoint, write_checkpoint
from worker.core.envelope import parse
from worker.core.events import MODALITIES, Event, Modality, Record
from worker.core.ledger import OffsetLedger
from worker.core.merge import Merger
from worker.core.moment import Closed, Duplicate, Forgotten, Late, Moment, Outcome, Released
from worker.core.pairing import Pairing
from worker.core.ports import Committed, CommitUnit, Output, TopicPartition
from worker.core.source_state import Kept, Place, place_of
from worker.core.tracing import Traced
from worker.errors import InvalidEventError
from worker.pipeline import Embedded
from worker.runtime.compose import Composer
from worker.runtime.judge import Judge, Settled
from worker.runtime.outputs import Outputs, Rejection
from worker.runtime.recovery import Recovered
from worker.runtime.restoring import Restoring
from worker.runtime.rules import ShardRules
from worker.runtime.shard_state import source_states, state_records
from worker.runtime.state_records import StateWriter


class Shard:
    """The state machine of one partition index. Not thread-safe."""

    def __init__(self, rules: ShardRules, composer: Composer, recovered: Recovered) -> None:
        self.partitions = frozenset(recovered.positions)
        self.index = next(iter(self.partitions)).partition
        self._rules = rules
        self._positions = recovered.positions
        self._base = recovered.index
        self._is_cold = recovered.is_cold
        self._merger = Merger(self.partitions)
        self._merger.restore({each: at.newest for each, at in self._positions.items()})
        self._pairing = Pairing(rules.pairing)
        self._ledger = OffsetLedger()
        self._judge = Judge(rules.alerts, composer, recovered.scorer, recovered.states)
        self._writer = StateWriter(rules.topics.snapshots, self.index)
        self.outputs = Outputs(rules.topics, rules.max_dead_letter_bytes, rules.worker)
        self._closed: deque[tuple[int, Moment]] = deque()  # not yielded yet
        self._awaited: deque[tuple[int, Moment]] = deque()  # yielded and not settled yet
        self._closed_count = recovered.index.closed
        self._number = recovered.index.number
        self._committed: Mapping[TopicPartition, int] = {}
        self._touched = set(recovered.outdated)
        self.ingested: list[Traced] = []  # when events taken in began; taken by the telemetry
        restoring = Restoring(recovered.states)
        for state in recovered.states:
            for place, record in state.records.items():
                self._take_up(restoring, place, record)
        self._restoring: Restoring | None = restoring
        self._begin_where_complete()

    def push(self, partition: TopicPartition, records: Iterable[Record]) -> None:
        """Add records of one partition in offset order. Raises LogError where some are missing."""
        taken, modality = self._positions[partition].taken, self._modality(partition)
        restoring, fresh = self._restoring, list[Record]()
        for record in records:
            if restoring is not None and restoring.is_needed(modality, record.offset):
                self._take_up(restoring, Place(modality, record.offset), record)
            elif record.offset < taken:
                self.outputs.count(modality, "known")
            else:
                fresh.append(record)
        self._merger.push(partition, fresh)
        self._begin_where_complete()

    def advance(self, fully_read: frozenset[TopicPartition], until: int) -> Iterator[Moment]:
        """Yield the Moments that close. Stop iterating at will; what is left is kept.

        `fully_read` partitions hold nothing that was appended at or before `until`, microseconds.
        """
        if self._restoring is not None:
            return
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
        _, original = self._awaited.popleft()
        self._touched.add(original.source)
        for rejected in embedded.rejected:
            rejection = Rejection(rejected.reason, rejected.message, "decode")
            self.outputs.dead_letter(rejected.event.record, rejection)
            self.outputs.count(rejected.event.modality, "dead_letter")
        settled = self._judge.judge(embedded) if embedded.moment.events else None
        if settled is not None:
            self.outputs.add(*settled.outputs)
            for source, numbers in self._judge.due():
                self.outputs.add(self._writer.numbers(self._judge.moments, source, numbers))
                self._touched.add(source)
        for event in embedded.moment.events:
            self.outputs.count(event.modality, "paired")
        for event in _events_of(original):
            self._release(event.record)
        return settled

    def take(self) -> CommitUnit | None:
        """Return what is new since the last call: outputs, state, offsets needed no more."""
        offsets = dict(self._ledger.committable())
        if self._restoring is not None or not (self.outputs or offsets != self._committed):
            return None
        self._number, self._committed = self._number + 1, offsets
        return CommitUnit(
            outputs=(*self.outputs.take(), *self._state_records()),
            offsets={
                p: Committed(at, write_checkpoint(self._at(p, at))) for p, at in offsets.items()
            },
        )

    @property
    def is_restoring(self) -> bool:
        """Whether records that were taken in before are still to be read again."""
        return self._restoring is not None

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
        held = [event for _, moment in (*self._closed, *self._awaited) for event in moment.events]
        for event in (*held, *(self._restoring.events.values() if self._restoring else ())):
            entries[event.modality] += 1
            sizes[event.modality] += event.record.size
        for partition, (count, size) in self._merger.sizes().items():
            modality = self._modality(partition)
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
            numbered = self._closed.popleft()
            self._awaited.append(numbered)
            yield numbered[1]

    def _take_in(self, record: Record) -> None:
        self._ledger.add(TopicPartition(record.topic, record.partition), record.offset)
        self._follow(self._pairing.advance(record.timestamp))
        event = self._parsed(record)
        if event is None:
            self._release(record)
            return
        self.ingested.append(Traced(event.time, event.traceparent))
        self._touched.add(event.source)
        self._follow(self._pairing.add(event))

    def _parsed(self, record: Record) -> Event | None:
        try:
            return parse(record, self._rules.envelope)
        except InvalidEventError as error:
            rejection = Rejection(error.reason, error.message, "envelope")
            self.outputs.dead_letter(record, rejection)
            modality = self._rules.envelope.modality_of_topic[record.topic]
            self.outputs.count(modality, "dead_letter")
            return None

    def _follow(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            match outcome:
                case Closed(moment, released):
                    self._hold(moment)
                    for event in released:
                        self._release(event.record)
                    self._closed_count += 1
                    self._closed.append((self._closed_count, moment))
                    self._touched.add(moment.source)
                case Late(event, watermark):
                    self.outputs.late(event.record, watermark)
                    self._touched.add(event.source)
                    self._end(event, "late")
                case Duplicate(event):
                    self._end(event, "duplicate")
                case Released(event):
                    self._release(event.record)
                case Forgotten(source):
                    self._touched.add(source)

    def _end(self, event: Event, outcome: str) -> None:
        self.outputs.count(event.modality, outcome)
        self._release(event.record)

    def _hold(self, moment: Moment) -> None:
        for event in _events_of(moment):
            record = event.record
            self._ledger.hold(TopicPartition(record.topic, record.partition), record.offset)

    def _release(self, record: Record) -> None:
        self._ledger.release(TopicPartition(record.topic, record.partition), record.offset)

    def _take_up(self, restoring: Restoring, place: Place, record: Record) -> None:
        """Take in a record that was taken in before, and whose event is still needed."""
        if (event := self._parsed(record)) is not None:
            restoring.events[place] = event

    def _begin_where_complete(self) -> None:
        """Become what the state was taken from, once all records that it needs are there."""
        restoring = self._restoring
        if restoring is None or not restoring.is_complete:
            return
        self._restoring = None
        pairings = {state.source: state.pairing for state in restoring.states}
        self._pairing.restore(
            self._base.clock,
            {name: pairing for name, pairing in pairings.items() if pairing is not None},
            restoring.events,
        )
        self._closed.extend(restoring.moments())
        self._ledger.restore(
            {each: at.taken for each, at in self._positions.items()},
            {each: restoring.holders(self._modality(each)) for each in self._positions},
        )
        if not self._is_cold:  # else the offsets themselves are to be committed
            self._committed = dict(self._ledger.committable())

    def _state_records(self) -> Iterator[Output]:
        index = replace(
            self._base,
            number=self._number,
            closed=self._closed_count,
            clock=self._pairing.clock,
            scorer=self._judge.scorer_state,
        )
        unsettled = (*self._awaited, *self._closed)
        forgotten = self._judge.forgotten()
        names = self._touched.union(forgotten)
        states = source_states(names, self._pairing, unsettled, self._judge, self._keep)
        self._touched = set()
        return state_records(self._writer, index, states, forgotten)

    def _keep(self, event: Event) -> Kept:
        """Return how an event is to be found again: where offsets passed it, only by its record."""
        record = event.record
        held = self._ledger.is_held(TopicPartition(record.topic, record.partition), record.offset)
        return Kept(place_of(event), None if held else record)

    def _at(self, partition: TopicPartition, offset: int) -> Checkpoint:
        return Checkpoint(
            number=self._number,
            offset=offset,
            taken=self._ledger.following[partition],
            newest=self._merger.newest(partition),
            meaning=self._rules.meaning,
            topic_id=self._rules.topic_ids.get(partition.topic, ""),
        )

    def _modality(self, partition: TopicPartition) -> Modality:
        return self._rules.envelope.modality_of_topic[partition.topic]


def _events_of(moment: Moment) -> tuple[Event, ...]:
    return moment.events if moment.carried is None else (*moment.events, moment.carried)
