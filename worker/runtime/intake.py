"""From the records of one partition index to its Moments: merged, parsed, paired, accounted for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from worker.core.envelope import FEEDBACK, parse, parse_feedback
from worker.core.events import Event, Record
from worker.core.inbox import Inbox
from worker.core.ledger import OffsetLedger
from worker.core.merge import Merger
from worker.core.moment import (
    Closed,
    Duplicate,
    Excess,
    Forgotten,
    Late,
    Moment,
    Outcome,
    Released,
)
from worker.core.pairing import Pairing
from worker.core.ports import TopicPartition
from worker.core.tracing import Traced
from worker.errors import InvalidEventError, Reason
from worker.runtime.gate import Gate, held_by
from worker.runtime.outputs import CROWDED, ENDED_PROCESSES, Outputs, Rejection
from worker.runtime.rules import ShardRules
from worker.runtime.shard_state import Sizes, all_buffered

FOREVER = 2**63 - 1  # later than any append time


class Intake:
    """Takes records in, in their merged order. Not thread-safe.

    `outputs` get what becomes no Moment; `touched` are the sources that changed, to be taken by
    who stores states.
    """

    def __init__(
        self,
        partitions: frozenset[TopicPartition],
        rules: ShardRules,
        gate: Gate,
        outputs: Outputs,
    ) -> None:
        self.gate = gate
        self.merger = Merger(partitions)
        self.pairing = Pairing(rules.pairing)
        self.ledger = OffsetLedger()
        self.inbox = Inbox()
        self.touched: set[str] = set()
        self.ingested: list[Traced] = []  # when events taken in began; taken by the telemetry
        self.flushed, self.is_drained = 0, False  # Moments that draining closed
        self._partitions = partitions
        self._envelope = rules.envelope
        self._outputs = outputs

    def advance(self, fully_read: frozenset[TopicPartition], until: int) -> Iterator[Moment]:
        """Yield the Moments that close. Stop iterating at will; what is left is kept.

        `fully_read` partitions hold nothing that was appended at or before `until`, microseconds.
        """
        yield from self._taken_in(fully_read, until)
        if fully_read >= self._partitions and not self.merger.size and not self.gate.is_shut:
            self._follow(self.pairing.advance(until))
            yield from self._due()

    def drain(self) -> Iterator[Moment]:
        """Yield the Moments that close when all that was pushed is taken in and nothing follows."""
        if self.is_drained:
            return
        yield from self._taken_in(self._partitions, FOREVER)
        if self.gate.is_shut:
            return
        before = self.gate.count
        self._follow(self.pairing.flush())
        self.flushed += self.gate.count - before
        self.touched.update(self.pairing.drop_captions())
        yield from self._due()
        self.is_drained = not self.gate.is_shut

    def parsed(self, record: Record) -> Event | None:
        """Return the event of a record; None where it is a dead letter now."""
        try:
            return parse(record, self._envelope)
        except InvalidEventError as error:
            self._refuse(record, error)
            return None

    def let_go(self, moment: Moment) -> None:
        """Note that a Moment is judged: it needs its records no more."""
        for event in held_by(moment):
            self._release(event)

    def is_held(self, event: Event) -> bool:
        """Tell whether somebody still needs the event's record."""
        return self.ledger.is_held(*_place(event.record))

    def buffered(self, restored: Iterable[Event]) -> Sizes:
        """Return per kind of input the records that were read and not settled, and their bytes.

        `restored` were read again and are not paired yet.
        """
        merged = {self.kind(each.topic): size for each, size in self.merger.sizes().items()}
        return all_buffered(self.pairing, self.gate.unsettled, restored, merged)

    def kind(self, topic: str) -> str:
        """Return what a topic is read as: a modality, or `feedback`."""
        return self._envelope.kind(topic)

    def _due(self) -> Iterator[Moment]:
        self._quarantine()
        yield from self.gate.due()

    def _taken_in(self, fully_read: frozenset[TopicPartition], until: int) -> Iterator[Moment]:
        yield from self._due()
        while not self.gate.is_shut and (record := self.merger.pop(fully_read, until)):
            self._take_in(record)
            yield from self._due()

    def _take_in(self, record: Record) -> None:
        place = _place(record)
        self.ledger.add(*place)
        self._follow(self.pairing.advance(record.timestamp))
        if self.kind(record.topic) == FEEDBACK:
            self._hear(record)
            self.ledger.release(*place)
            return
        event = self.parsed(record)
        if event is None:
            self.ledger.release(*place)
            return
        self.ingested.append(Traced(event.time, event.traceparent))
        self.touched.add(event.source)
        self._follow(self.pairing.add(event))

    def _hear(self, record: Record) -> None:
        """Let feedback wait for the next Moment of its source; its record is needed no more."""
        try:
            said = parse_feedback(record, self._envelope)
            if not self.pairing.knows(said.source):
                message = "nothing is known of its source here"
                raise InvalidEventError(Reason.UNKNOWN_SOURCE, message)
            self.inbox.add(said, self.gate.count)
        except InvalidEventError as error:
            self._refuse(record, error)
            return
        self.touched.add(said.source)
        self._outputs.count(FEEDBACK, "paired")

    def _refuse(self, record: Record, error: InvalidEventError) -> None:
        rejection = Rejection(error.reason, error.message, "envelope")
        self._outputs.dead_letter(record, rejection)
        self._outputs.count(self.kind(record.topic), "dead_letter")

    def _follow(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            match outcome:
                case Closed(moment, released):
                    self._take_up(moment, released)
                case Late(event, watermark):
                    self._outputs.late(event.record, watermark)
                    self.touched.add(event.source)
                    self._end(event, "late")
                case Duplicate(event):
                    self._end(event, "duplicate")
                case Excess(event):
                    self._outputs.dead_letter(event.record, CROWDED)
                    self._end(event, "dead_letter")
                case Released(event):
                    self._release(event)
                case Forgotten(source):
                    self.touched.add(source)

    def _take_up(self, moment: Moment, released: Iterable[Event]) -> None:
        for event in held_by(moment):
            self.ledger.hold(*_place(event.record))
        for event in released:
            self._release(event)
        self.gate.add(moment)
        if not moment.amends:
            self.inbox.close(moment.source)
        self.touched.add(moment.source)

    def _end(self, event: Event, outcome: str) -> None:
        self._outputs.count(event.modality, outcome)
        self._release(event)

    def _quarantine(self) -> None:
        """Let what has ended processes be dead letters."""
        if not self.gate.caution.guilty:
            return
        expelled, released = self.gate.expel()
        for event in expelled:
            self._outputs.dead_letter(event.record, ENDED_PROCESSES)
            self._outputs.count(event.modality, "dead_letter")
            self.touched.add(event.source)
            self._follow(self.pairing.put_down(event))
        for event in released:
            self._release(event)

    def _release(self, event: Event) -> None:
        self.ledger.release(*_place(event.record))


def _place(record: Record) -> tuple[TopicPartition, int]:
    return TopicPartition(record.topic, record.partition), record.offset
