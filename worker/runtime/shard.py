"""One partition index: records in, outputs and offsets out, all in one thread and one order.

push -> advance -> Moments -> (encoded elsewhere) -> settle -> take

What `take` returns carries the state too, so that a successor goes on exactly here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain

from worker.core.caution import Care
from worker.core.checkpoint import Checkpoint, write_checkpoint
from worker.core.envelope import FEEDBACK
from worker.core.events import Event, Modality, Record
from worker.core.moment import Moment
from worker.core.ports import Committed, CommitUnit, Output, TopicPartition
from worker.core.references import References, Remembered
from worker.core.source_state import Kept, Place, place_of
from worker.runtime.compose import Composer
from worker.runtime.gate import Gate
from worker.runtime.intake import Intake
from worker.runtime.judge import Judge, Settled
from worker.runtime.outputs import Outputs, Rejection
from worker.runtime.recovery import Recovered
from worker.runtime.restoring import Restoring
from worker.runtime.rules import ShardRules
from worker.runtime.shard_state import Sizes, reference_records, source_states, state_records
from worker.runtime.state_records import SHADOW, StateWriter
from worker.stages import Embedded

INDEX_BUFFERS = (
    "merge",
    "silent_sources",
    "feedback",
    "alert_states",
    "scorers",
)  # that each index has


class Shard:
    """The state machine of one partition index. Not thread-safe.

    `references` belong to those who work on its Moments; what they were with the last one that was
    judged is known here.
    """

    def __init__(
        self,
        process: str,
        care: Care,
        rules: ShardRules,
        composer: Composer,
        recovered: Recovered,
    ) -> None:
        self.partitions = frozenset(recovered.positions)
        self.index = next(iter(self.partitions)).partition
        self.outputs = Outputs(rules.topics, rules.max_dead_letter_bytes, rules.worker)
        self._gate = Gate(process, care, recovered.index.closed, recovered.index.attempts)
        self.intake = Intake(self.partitions, rules, self._gate, self.outputs)
        self.references = References(rules.max_reference_age)
        self.references.restore(recovered.references)
        self._remembered: dict[str, Remembered | None] = {}  # since the last call of `take`
        self.intake.merger.restore({p: at.newest for p, at in recovered.positions.items()})
        self.intake.touched.update(recovered.outdated)
        for state in recovered.states:
            self.intake.inbox.restore(state.source, state.said)
        self._rules = rules
        self._positions = recovered.positions
        self._base = recovered.index
        self._is_cold = recovered.is_cold
        self._judge = Judge(
            rules.alerts,
            rules.shadow,
            composer,
            recovered.scorer,
            recovered.shadow,
            recovered.states,
            (recovered.index.discoveries, recovered.index.shadow.discoveries),
        )
        self._writer = StateWriter(
            rules.topics.snapshots, self.index, is_swapped=recovered.index.is_swapped
        )
        self.outputs.add(*(self._writer.nothing(*each) for each in recovered.superfluous))
        self._number = recovered.index.number
        self._committed: Mapping[TopicPartition, int] = {}
        self._saying = recovered.index.attempts  # in the last commit that was taken
        restoring = Restoring(recovered.states)
        for state in recovered.states:
            for place, record in state.records.items():
                self._take_up(restoring, place, record)
        self._restoring: Restoring | None = restoring
        self._begin_where_complete()

    def push(self, partition: TopicPartition, records: Iterable[Record]) -> None:
        """Add records of one partition in offset order. Raises LogError where some are missing."""
        taken, kind = self._positions[partition].taken, self.intake.kind(partition.topic)
        restoring, fresh = self._restoring, list[Record]()
        for record in records:
            place = None if kind == FEEDBACK else Place(Modality(kind), record.offset)
            if restoring is not None and place is not None and restoring.is_needed(*place):
                self._take_up(restoring, place, record)
            elif record.offset < taken:
                self.outputs.count(kind, "known")
            else:
                fresh.append(record)
        self.intake.merger.push(partition, fresh)
        self._begin_where_complete()

    def advance(self, fully_read: frozenset[TopicPartition], until: int) -> Iterator[Moment]:
        """Yield the Moments that close. Stop iterating at will; what is left is kept.

        `fully_read` partitions hold nothing that was appended at or before `until`, microseconds.
        """
        if self._restoring is None:
            yield from self.intake.advance(fully_read, until)

    def drain(self) -> Iterator[Moment]:
        """Yield the Moments that close when all that was pushed is taken in and nothing follows."""
        if self._restoring is not None or self.intake.is_drained:
            return
        self._committed = {}  # there may be nothing to commit but the changed state
        yield from self.intake.drain()

    def settle(self, embedded: Embedded) -> Settled | None:
        """Score, decide and learn one Moment, in the order in which the Moments were yielded.

        None where all of its media turned out to be undecodable, or it was only a trial.
        """
        returned = self._gate.came_back()
        if returned is None:
            return None
        number, original = returned
        self.intake.touched.add(original.source)
        self._remembered |= embedded.remembered
        for rejected in embedded.rejected:
            rejection = Rejection(rejected.reason, rejected.message, "decode")
            self.outputs.dead_letter(rejected.event.record, rejection)
            self.outputs.count(rejected.event.modality, "dead_letter")
        settled = self._judged(number, embedded)
        if settled is not None:
            self.outputs.add(*settled.outputs)
            for kind, source, numbers in self._judge.due():
                self.outputs.add(self._writer.numbers(self._judge.moments, source, numbers, kind))
                self.intake.touched.add(source)
        for event in embedded.moment.events:
            self.outputs.count(event.modality, "paired")
        self.intake.let_go(original)
        return settled

    def take(self) -> CommitUnit | None:
        """Return what is new since the last call: outputs, state, offsets needed no more."""
        offsets = dict(self.intake.ledger.committable())
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

    def withdraw(self) -> None:
        """Let the next commit be the last one: nothing more is worked on here."""
        self._gate.caution.withdraw()

    def leave(self) -> None:
        """Give the index up to its next owner."""
        self._gate.caution.leave()

    def has_alert(self, source: str) -> bool:
        """Return whether an alert of the source is open."""
        state = self._judge.alert_of(source)
        return state is not None and state.alert is not None

    @property
    def clock(self) -> int:
        """The append time, in microseconds, up to which records were taken in."""
        return self.intake.pairing.clock

    @property
    def wants_commit(self) -> bool:
        """Whether Moments wait for a commit that says that they are tried."""
        return self._gate.caution.wants_commit

    @property
    def is_restoring(self) -> bool:
        """Whether records that were taken in before are still to be read again."""
        return self._restoring is not None

    def buffered(self) -> Sizes:
        """Return per kind of input the records that were read and not settled, and their bytes."""
        return self.intake.buffered(
            () if self._restoring is None else self._restoring.read_again.values()
        )

    def fill(self) -> dict[str, float]:
        """Return the share of its bound that each of the index's own buffers holds."""
        silent, merge = self.intake.pairing.silent_fill, self.intake.merger.fill
        inbox = self.intake.inbox.fill
        return {"merge": merge, "silent_sources": silent, "feedback": inbox, **self._judge.fill()}

    def _judged(self, number: int, embedded: Embedded) -> Settled | None:
        """Judge a Moment of which something was decoded, after what people had said by then.

        What was sent again changes nothing, so feedback waits for the next one.
        """
        moment = embedded.moment
        if not moment.events:
            return None
        said = () if moment.amends else self.intake.inbox.due(moment.source, number)
        return self._judge.judge(embedded, said)

    def _take_up(self, restoring: Restoring, place: Place, record: Record) -> None:
        """Take in a record that was taken in before, and whose event is still needed."""
        if (event := self.intake.parsed(record)) is not None:
            restoring.events[place] = event

    def _begin_where_complete(self) -> None:
        """Become what the state was taken from, once all records that it needs are there."""
        restoring = self._restoring
        if restoring is None or not restoring.is_complete:
            return
        self._restoring = None
        pairings = {state.source: state.pairing for state in restoring.states}
        self.intake.pairing.restore(
            self._base.clock,
            {name: pairing for name, pairing in pairings.items() if pairing is not None},
            restoring.events,
        )
        self._gate.restore(restoring.moments())
        for place in restoring.settled:
            self.outputs.count(place.modality, "known")
        self.intake.ledger.restore(
            {each: at.taken for each, at in self._positions.items()},
            {each: self._holders(restoring, each) for each in self._positions},
        )
        if not self._is_cold:  # else the offsets themselves are to be committed
            self._committed = dict(self.intake.ledger.committable())

    def _holders(self, restoring: Restoring, partition: TopicPartition) -> Counter[int]:
        kind = self.intake.kind(partition.topic)
        return Counter() if kind == FEEDBACK else restoring.holders(Modality(kind))

    def _state_records(self) -> Iterator[Output]:
        discoveries, tried = self._judge.discoveries
        scorer = self._judge.scorer_state(SHADOW)
        index = replace(
            self._base,
            number=self._number,
            closed=self._gate.count,
            clock=self.clock,
            scorer=self._judge.scorer_state(),
            attempts=self._saying,
            shadow=replace(self._base.shadow, scorer=scorer, discoveries=tried),
            discoveries=discoveries,
        )
        forgotten = self._judge.forgotten()
        names = self.intake.touched.union(name for _, name in forgotten)
        states = source_states(
            names,
            self.intake.pairing,
            self._gate.unsettled,
            self._judge,
            self.intake.inbox,
            self._keep,
        )
        remembered = reference_records(
            self._writer, self._number, self._rules.meaning.model, self._remembered
        )
        self.intake.touched, self._remembered = set(), {}
        return chain(remembered, state_records(self._writer, index, states, forgotten))

    def _keep(self, event: Event) -> Kept:
        """Return how an event is to be found again: where offsets passed it, only by its record."""
        return Kept(place_of(event), None if self.intake.is_held(event) else event.record)

    def _at(self, partition: TopicPartition, offset: int) -> Checkpoint:
        return Checkpoint(
            number=self._number,
            offset=offset,
            taken=self.intake.ledger.following[partition],
            newest=self.intake.merger.newest(partition),
            meaning=self._rules.meaning,
            topic_id=self._rules.topic_ids.get(partition.topic, ""),
        )
