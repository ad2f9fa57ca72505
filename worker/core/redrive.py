"""What becomes of records that are to be put back: where each goes, or why it stays.

SetAside -> Step -> batches of steps -> (appended elsewhere) -> Tally
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from worker.core.envelope import Partitioner
from worker.core.messages.redrive import redrive_headers
from worker.core.partitioner import partition_for
from worker.core.ports import Output
from worker.core.set_aside import SetAside

BATCH_RECORDS = 100
BATCH_BYTES = 32 * 1024 * 1024  # of values, after which a batch takes no further record


class Skip(StrEnum):
    """Why a record is not put back."""

    MAX_ATTEMPTS = "max_attempts"
    VALUE_NOT_KEPT = "value_not_kept"
    TOO_LARGE = "too_large"
    NO_INPUT_TOPIC = "no_input_topic"
    NO_PARTITION = "no_partition"


@dataclass(frozen=True, slots=True)
class RedriveRules:
    """`inputs` are the partition counts of the input topics; a record gets `max_attempts`."""

    inputs: Mapping[str, int]
    partitioner: Partitioner
    max_record_bytes: int
    max_attempts: int


@dataclass(frozen=True, slots=True)
class Step:
    """The next thing on the way through a topic that was read up to `next_offset`.

    `outcome`: what to append, why not, or None where the partition is read to its end.
    """

    partition: int
    next_offset: int
    outcome: Output | Skip | None


def plan(found: SetAside, rules: RedriveRules) -> Output | Skip:
    """Return the record to append to the topic in which it was first read, or why not."""
    record, origin = found.record, found.origin
    if origin is None or origin.topic not in rules.inputs:
        return Skip.NO_INPUT_TOPIC
    if found.is_digest:
        return Skip.VALUE_NOT_KEPT
    if len(record.value or b"") > rules.max_record_bytes:
        return Skip.TOO_LARGE
    if found.attempts >= rules.max_attempts:
        return Skip.MAX_ATTEMPTS
    partitions, partition = rules.inputs[origin.topic], origin.partition
    if rules.partitioner != "any" and record.key is not None:
        partition = partition_for(record.key, partitions, rules.partitioner)
    if partition >= partitions:
        return Skip.NO_PARTITION
    headers = redrive_headers(record.headers, found.kind)
    return Output(origin.topic, record.key, record.value, headers, partition)


def batches(steps: Iterable[Step], records: int) -> Iterator[list[Step]]:
    """Group the steps: at most so many in a batch, and few where their values are large."""
    batch: list[Step] = []
    size = 0
    for step in steps:
        batch.append(step)
        size += len(step.outcome.value or b"") if isinstance(step.outcome, Output) else 0
        if len(batch) >= records or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def outputs_of(batch: Iterable[Step]) -> list[Output]:
    """Return what a batch appends."""
    return [step.outcome for step in batch if isinstance(step.outcome, Output)]


@dataclass(slots=True)
class Tally:
    """What was done: records by topic and by reason to skip, and per partition where to go on."""

    next_offsets: dict[int, int]
    put_back: Counter[str] = field(default_factory=Counter)
    skipped: Counter[Skip] = field(default_factory=Counter)

    def add(self, steps: Iterable[Step]) -> None:
        """Count steps that were taken."""
        for step in steps:
            self.next_offsets[step.partition] = step.next_offset
            match step.outcome:
                case Output(topic):
                    self.put_back[topic] += 1
                case Skip() as reason:
                    self.skipped[reason] += 1
                case None:
                    pass

    def sentence(self, done: str) -> str:
        """Return one line; `done` says what happened to the records that were not skipped."""
        places = "; go on with " + ", ".join(
            f"--partition {partition} --from-offset {offset}"
            for partition, offset in sorted(self.next_offsets.items())
        )
        return (
            f"{self.put_back.total()} {done}{counts_text(self.put_back)},"
            f" {self.skipped.total()} skipped{counts_text(self.skipped)}"
            + (places if self.next_offsets else "")
        )


def counts_text(counts: Counter[str] | Counter[Skip]) -> str:
    """Return the counts in brackets, the largest first.

    >>> counts_text(Counter(audio=1, frames=9))
    ' (frames 9, audio 1)'
    """
    if not counts:
        return ""
    return " (" + ", ".join(f"{name} {count}" for name, count in counts.most_common()) + ")"
