"""`mmworker dead-letters`: look at what was set aside, keep it, put it back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from worker.adapters.kafka.reading import TopicReader
from worker.cli import letter_files, redrive_run
from worker.cli.letter_options import (
    FromOffset,
    Late,
    Limit,
    Partition,
    Reasons,
    Scope,
    Since,
    Source,
    ToOffset,
    Until,
    coordinates,
    scope_of,
)
from worker.cli.letter_rows import counts_line, details, json_row, label, print_tables
from worker.cli.options import AsJson, Bootstrap, ConfigFile, Output, config_of
from worker.config import Config
from worker.core.messages.redrive import RedriveOf
from worker.core.ports import LogError
from worker.core.set_aside import SetAside
from worker.errors import FailedRunError, OperatorError

app = typer.Typer(
    help="Look at dead letters and late events, keep them, put them back.", no_args_is_help=True
)


@app.command("list")
def list_letters(
    late: Late = False,
    reason: Reasons = None,
    source: Source = None,
    since: Since = None,
    until: Until = None,
    partition: Partition = None,
    from_offset: FromOffset = None,
    to_offset: ToOffset = None,
    limit: Limit = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Print one line per record in the order of partitions and offsets, and counts on stderr."""
    effective, kind = _effective(config, bootstrap), _kind(late)
    scope = scope_of(
        kind,
        _topic(effective, kind),
        reasons=reason or (),
        source=source,
        since=since,
        until=until,
        partition=partition,
        from_offset=from_offset,
        to_offset=to_offset,
        limit=limit,
    )
    counts = Counter[str]()
    with _reading(effective, scope) as found:
        counted = _counted(found, counts)
        if as_json:
            for each in counted:
                typer.echo(json.dumps(json_row(each)))
        else:
            print_tables(counted)
    typer.echo(counts_line(counts, kind), err=True)


@app.command("show")
def show(
    at: Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="As `list` prints it.")],
    late: Late = False,
    value: Annotated[
        Path | None, typer.Option("--value", help="Write the raw value to this file.")
    ] = None,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Print everything of one record."""
    partition, offset = coordinates(at)
    effective, kind = _effective(config, bootstrap), _kind(late)
    topic = _topic(effective, kind)
    scope = Scope(kind, topic, partition=partition, from_offset=offset, to_offset=offset + 1)
    with _reading(effective, scope) as all_found:
        found = next(all_found, None)
    if found is None:
        raise OperatorError(
            f"topic {topic} has no record at {at}: see `mmworker dead-letters list`"
        )
    if value is not None:
        if found.record.value is None:
            raise OperatorError(f"the record at {at} has no value to write: leave --value out")
        letter_files.write_value(found.record.value, value)
    for line in details(found):
        typer.echo(line)


@app.command("export")
def export(
    output: Output,
    late: Late = False,
    reason: Reasons = None,
    source: Source = None,
    since: Since = None,
    until: Until = None,
    partition: Partition = None,
    from_offset: FromOffset = None,
    to_offset: ToOffset = None,
    limit: Limit = None,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Write the records to a new directory: records.jsonl, and a file per value."""
    effective, kind = _effective(config, bootstrap), _kind(late)
    scope = scope_of(
        kind,
        _topic(effective, kind),
        reasons=reason or (),
        source=source,
        since=since,
        until=until,
        partition=partition,
        from_offset=from_offset,
        to_offset=to_offset,
        limit=limit,
    )
    letter_files.refuse_content(output)
    counts = Counter[str]()
    with _reading(effective, scope) as found:
        letter_files.export(_counted(found, counts), output)
    typer.echo(f"{counts_line(counts, kind)} in {output / letter_files.RECORDS}")


@app.command("redrive")
def redrive(
    late: Late = False,
    reason: Reasons = None,
    source: Source = None,
    since: Since = None,
    until: Until = None,
    partition: Partition = None,
    from_offset: FromOffset = None,
    to_offset: ToOffset = None,
    limit: Limit = None,
    max_attempts: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="So often a record may be put back.")
    ] = 3,
    rate: Annotated[int, typer.Option(min=1, max=100_000, help="Records per second.")] = 50,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Put the records back into the input topics that they came from."""
    effective, kind = _effective(config, bootstrap), _kind(late)
    scope = scope_of(
        kind,
        _topic(effective, kind),
        reasons=reason or (),
        source=source,
        since=since,
        until=until,
        partition=partition,
        from_offset=from_offset,
        to_offset=to_offset,
        limit=limit,
    )
    wishes = redrive_run.Wishes(max_attempts, rate, dry_run, yes, as_json)
    with _failures():
        redrive_run.redrive(effective, scope, wishes)


def _effective(config: Path | None, bootstrap: str | None) -> Config:
    return config_of(config, {"kafka.bootstrap_servers": bootstrap})


def _kind(late: bool) -> RedriveOf:
    return "late" if late else "dead-letter"


def _topic(config: Config, kind: RedriveOf) -> str:
    return config.topics.late_events if kind == "late" else config.topics.dead_letters


@contextmanager
def _reading(config: Config, scope: Scope) -> Iterator[Iterator[SetAside]]:
    with _failures(), TopicReader(config.kafka) as reader:
        yield scope.read(reader, scope.spans(reader))


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except LogError as error:
        raise FailedRunError(f"Kafka failed: {error}") from error


def _counted(found: Iterator[SetAside], counts: Counter[str]) -> Iterator[SetAside]:
    for each in found:
        counts[label(each)] += 1
        yield each
