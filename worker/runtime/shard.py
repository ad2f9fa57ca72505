"""One partition index: records in, outputs and offsets out, all in one thread and one order.

push -> advance -> Moments -> (encoded elsewhere) -> settle -> take

What `take` returns carries the state too, so that a successor goes on exactly here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from worker.core.caution import Care
from worker.core.checkpoint import Checkpoint, write_checkpoint
from worker.core.envelope import parse
from worker.core.events import Event, Modality, Record
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
from worker.runtime.gate import Gate, held_by
from worker.runtime.judge import Judge, Settled
from worker.runtime.outputs import ENDED_PROCESSES, Outputs, Rejection
from worker.runtime.recovery import Recovered
from worker.runtime.restoring import Restoring
from worker.runtime.rules import ShardRules
from worker.runtime.shard_state import all_buffered, source_states, state_records
from worker.runtime.state_records import StateWriter

FOREVER = 2**63 - 1  # later than any append time
INDEX_BUFFERS = ("merge", "silent_sources", "alert_states", "scorers")  # that each index has


class Shard:
    """The state machine of one partition index. Not thread-safe."""

    def __init__(
        self,
        member: str,
        care: Care,
        rules: ShardRules,
        composer: Composer,
        recovered: Recovered,
    ) -> None:
        self.partitions = frozenset(recovered.positions)
        self.index = next(iter(self.partitions)).partition
        self._rules = rules
        self._positions = recovered.positions
        self._base = recovered.index
        self._is_cold = recovered.is_cold
        self._merger = Merger(self.partitions)
        self._merger.restore({each: at.newest for each, at in self._positions.items()})
        self.pairing = Pairing(rules.pairing)
        self._ledger = OffsetLedger()
        self._judge = Judge(rules.alerts, composer, recovered.scorer, recovered.states)
        self._writer = StateWriter(rules.topics.snapshots, self.index)
        self.outputs = Outputs(rules.topics, rules.max_dead_letter_bytes, rules.worker)
        self._gate = Gate(member, care, recovered.index.closed, recovered.index.attempts)
        self._number = recovered.index.number
        self._committed: Mapping[TopicPartition, int] = {}
        self._saying = recovered.index.attempts  # in the last commit that was taken
        self._touched = set(recovered.outdated)
        self.flushed, self.is_drained = 0, False  # Moments that draining closed
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
        yield from self._taken_in(fully_read, until)
        if fully_read >= self.partitions and not self._merger.size and not self._gate.is_shut:
            self._follow(self.pairing.advance(until))
            yield from self._due()

    def drain(self) -> Iterator[Moment]:
        """Yield the Moments that close when all that was pushed is taken in and nothing follows."""
        if self._restoring is not None or self.is_drained:
            return
        yield from self._taken_in(self.partitions, FOREVER)
        if self._gate.is_shut:
            return
        before = self._gate.count
        self._follow(self.pairing.flush())
        self.flushed += self._gate.count - before
        self._touched.update(self.pairing.drop_captions())
        yield from self._due()
        self._committed = {}  # there may be nothing to commit but the changed state
        self.is_drained = not self._gate.is_shut

    def settle(self, embedded: Embedded) -> Settled | None:
        """Score, decide and learn one Moment, in the order in which the Moments were yielded.

        None where all of its media turned out to be undecodable, or it was only a trial.
        """
        original = self._gate.came_back()
        if original is None:
            return None
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
        for event in held_by(original):
            self._release(event.record)
        return settled

    def take(self) -> CommitUnit | None:
        """Return what is new since the last call: outputs, state, offsets needed no more."""
        offsets = dict(self._ledger.committable())
        attempts = self._gate.caution.attempts
        is_news = self.outputs or offsets != self._committed or attempts != self._saying
        if self._restoring is not None or not is_news:
            return None
        self._number, self._committed = self._number + 1, offsets
        self._saying = attempts
        return CommitUnit(
            outputs=(*self.outputs.take(), *self._state_records()),
            offsets={
                p: Committed(at, write_checkpoint(self._at(p, at))) for p, at in offsets.items()
            },
        )

    def committed(self) -> None:
        """Note that what `take` returned last is visible."""
        self._gate.caution.said(self._saying)

    def leave(self) -> None:
        """Give the index up to its next owner."""
        self._gate.caution.leave()

    @property
    def wants_commit(self) -> bool:
        """Whether Moments wait for a commit that says that they are tried."""
        return self._gate.caution.wants_commit

    @property
    def holds_back(self) -> bool:
        """Whether Moments are closed that may not be worked on yet, or there is no room for."""
        return self._gate.is_shut

    @property
    def is_restoring(self) -> bool:
        """Whether records that were taken in before are still to be read again."""
        return self._restoring is not None

    @property
    def ahead(self) -> frozenset[TopicPartition]:
        """The partitions to pause, since enough of them is buffered."""
        return self._merger.ahead

    def buffered(self) -> dict[Modality, tuple[int, int]]:
        """Return per modality the records that were read and not settled, and their bytes."""
        restored = () if self._restoring is None else self._restoring.events.values()
        merged = {self._modality(p): size for p, size in self._merger.sizes().items()}
        return all_buffered(self.pairing, self._gate.unsettled, restored, merged)

    @property
    def awaited_bytes(self) -> int:
        """The bytes of the records of the Moments that are being worked on."""
        return self._gate.out_bytes

    @property
    def merging(self) -> Mapping[TopicPartition, tuple[int, int]]:
        """The records of each partition that wait to be merged, and their bytes."""
        return self._merger.sizes()

    def fill(self) -> dict[str, float]:
        """Return the share of its bound that each of the index's own buffers holds."""
        silent = self.pairing.silent_fill
        return {"merge": self._merger.fill, "silent_sources": silent, **self._judge.fill()}

    def _due(self) -> Iterator[Moment]:
        self._quarantine()
        yield from self._gate.due()

    def _taken_in(self, fully_read: frozenset[TopicPartition], until: int) -> Iterator[Moment]:
        yield from self._due()
        while not self._gate.is_shut and (record := self._merger.pop(fully_read, until)):
            self._take_in(record)
            yield from self._due()

    def _take_in(self, record: Record) -> None:
        self._ledger.add(TopicPartition(record.topic, record.partition), record.offset)
        self._follow(self.pairing.advance(record.timestamp))
        event = self._parsed(record)
        if event is None:
            self._release(record)
            return
        self.ingested.append(Traced(event.time, event.traceparent))
        self._touched.add(event.source)
        self._follow(self.pairing.add(event))

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
                    self._gate.add(moment)
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

    def _quarantine(self) -> None:
        """Let what has ended processes be dead letters."""
        if not self._gate.caution.guilty:
            return
        expelled, released = self._gate.expel()
        for event in expelled:
            self.outputs.dead_letter(event.record, ENDED_PROCESSES)
            self.outputs.count(event.modality, "dead_letter")
            self._touched.add(event.source)
            self._follow(self.pairing.put_down(event))
        for event in released:
            self._release(event.record)

    def _hold(self, moment: Moment) -> None:
        for event in held_by(moment):
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
        self.pairing.restore(
            self._base.clock,
            {name: pairing for name, pairing in pairings.items() if pairing is not None},
            restoring.events,
        )
        self._gate.restore(restoring.moments())
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
            closed=self._gate.count,
            clock=self.pairing.clock,
            scorer=self._judge.scorer_state,
            attempts=self._saying,
        )
        forgotten = self._judge.forgotten()
        names = self._touched.union(forgotten)
        states = source_states(names, self.pairing, self._gate.unsettled, self._judge, self._keep)
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
