"""Puts what was set aside back into the input topics, batch by batch, at a bounded rate."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import typer
from rich.console import Console

from worker.adapters.kafka.reading import Span, TopicReader
from worker.adapters.kafka.topic_checks import inputs
from worker.adapters.kafka.transactional_sink import UNKNOWN_OUTCOME, TransactionalSink
from worker.cli.letter_options import Scope
from worker.cli.progress import bar
from worker.config import Config
from worker.core.messages.redrive import attempts_of
from worker.core.ports import LogError, Output
from worker.core.redrive import (
    BATCH_RECORDS,
    RedriveRules,
    Skip,
    Step,
    Tally,
    batches,
    counts_text,
    outputs_of,
    plan,
)
from worker.errors import FailedRunError, OperatorError


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the caller asked for. `rate` is in records per second."""

    max_attempts: int
    rate: int
    dry_run: bool
    yes: bool
    as_json: bool


def redrive(config: Config, scope: Scope, wishes: Wishes) -> None:
    """Say what would be done, or ask and do it. Raises OperatorError and FailedRunError."""
    if not (wishes.dry_run or wishes.yes or sys.stdin.isatty()):
        raise OperatorError(
            "redrive asks before it writes, and here is no terminal to answer at:"
            " look with --dry-run, then give --yes."
        )
    with TopicReader(config.kafka) as reader:
        rules = _rules(config, reader, wishes.max_attempts)
        spans = scope.spans(reader)
        planned = _survey(_steps(reader, scope, spans, rules), _begun(spans), wishes)
        if wishes.dry_run or not planned.put_back:
            _say(planned, wishes, "would be put back" if wishes.dry_run else "put back")
        elif _agreed(planned, wishes):
            steps = _steps(reader, scope, spans, rules)
            _put_back(config, scope.topic, wishes, steps, _begun(spans), planned)


def _agreed(planned: Tally, wishes: Wishes) -> bool:
    """Ask, unless that is answered; a no ends the command with 1."""
    question = f"{planned.put_back.total()} records to put back{counts_text(planned.put_back)}"
    return wishes.yes or typer.confirm(f"{question}. Go on?", abort=True, err=True)


def _rules(config: Config, reader: TopicReader, max_attempts: int) -> RedriveRules:
    counts = {topic: len(reader.partitions(topic)) for topic in inputs(config.topics)}
    for topic, partitions in counts.items():
        if not partitions:
            raise OperatorError(f"there is no topic {topic}: run `mmworker topics create`")
    if said := len(reader.partitions(config.topics.feedback)):
        counts[config.topics.feedback] = said
    return RedriveRules(
        counts, config.kafka.partitioner, config.limits.max_record_bytes, max_attempts
    )


def _steps(
    reader: TopicReader, scope: Scope, spans: Sequence[Span], rules: RedriveRules
) -> Iterator[Step]:
    """Yield what to do in the order of partitions and offsets, up to the limit of the scope."""
    numbers = count(1)
    for span in spans:
        for found in scope.read_span(reader, span):
            yield Step(span.partition, found.record.offset + 1, plan(found, rules))
            if next(numbers) == scope.limit:
                return
        yield Step(span.partition, max(span.start, span.stop), None)


def _begun(spans: Sequence[Span]) -> Tally:
    return Tally({span.partition: span.start for span in spans})


def _survey(steps: Iterator[Step], tally: Tally, wishes: Wishes) -> Tally:
    """Return what there is to do; a dry run prints it record by record."""
    for step in steps:
        tally.add([step])
        if wishes.dry_run and step.outcome is not None:
            row = _row(step, step.outcome)
            typer.echo(json.dumps(row) if wishes.as_json else _line(row))
    return tally


def _put_back(
    config: Config,
    topic: str,
    wishes: Wishes,
    steps: Iterator[Step],
    tally: Tally,
    planned: Tally,
) -> None:
    """Append batch by batch until all is done, or the user stops it between two of them.

    What a batch holds is appended at once, for readers wait while a transaction is open; so a
    batch is at most what the rate allows in a second.
    """
    sink = TransactionalSink(
        config.kafka,
        f"{config.kafka.group_id}-redrive-{topic}",
        max_record_bytes=config.limits.max_record_bytes,
    )
    total, size = planned.put_back.total(), min(BATCH_RECORDS, wishes.rate)
    progress = bar(Console(stderr=True), "Putting back", total, f"of {total} records")
    try:
        with sink, progress as advance, _stopped() as stop:
            for batch in batches(steps, size):
                outputs = outputs_of(batch)
                _append(sink, outputs, batch)
                tally.add(batch)
                advance(tally.put_back.total())
                if stop.wait(len(outputs) / wishes.rate):
                    raise FailedRunError("stopped by a signal; what is counted above is done")
    finally:
        _say(tally, wishes, "put back")


def _append(sink: TransactionalSink, outputs: Sequence[Output], batch: Sequence[Step]) -> None:
    if not outputs:
        return
    try:
        sink.append(outputs)
    except LogError as error:
        first, last = (f"{each.partition}:{each.next_offset - 1}" for each in (batch[0], batch[-1]))
        told = (
            f"whether the records from {first} to {last} were put back is not known: look for"
            " mmworker.redrive.attempt in the input topics before going on"
            if error.reason == UNKNOWN_OUTCOME
            else "nothing of the last batch was put back"
        )
        raise FailedRunError(f"{told} ({error})") from error


@contextmanager
def _stopped() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into an event, so that no batch is left in the middle."""
    stop = threading.Event()
    before = {
        name: signal.signal(name, lambda *_: stop.set()) for name in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _row(step: Step, outcome: Output | Skip) -> dict[str, object]:
    row: dict[str, object] = {"partition": step.partition, "offset": step.next_offset - 1}
    if isinstance(outcome, Skip):
        return row | {"skipped": outcome.value}
    attempt = attempts_of(outcome.headers)
    return row | {
        "to": {"topic": outcome.topic, "partition": outcome.partition},
        "attempt": attempt,
    }


def _line(row: dict[str, object]) -> str:
    place = f"{row['partition']}:{row['offset']}"
    match row:
        case {"to": {"topic": topic, "partition": partition}, "attempt": attempt}:
            return f"{place} -> {topic} {partition}, attempt {attempt}"
    return f"{place} skipped: {row['skipped']}"


def _say(tally: Tally, wishes: Wishes, done: str) -> None:
    if not wishes.as_json:
        typer.echo(tally.sentence(done))
        return
    summary = {
        "put_back": dict(tally.put_back),
        "skipped": dict(tally.skipped),
        "from_offsets": {str(each): at for each, at in sorted(tally.next_offsets.items())},
        "dry_run": wishes.dry_run,
    }
    typer.echo(json.dumps(summary))
