"""The options by which dead letters and late events are chosen, and the reading of those chosen."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Annotated

import typer

from worker.adapters.kafka.reading import Span, TopicReader
from worker.core import rfc3339
from worker.core.messages.redrive import RedriveOf
from worker.core.set_aside import Selection, SetAside, read_set_aside
from worker.errors import OperatorError, Reason

Late = Annotated[bool, typer.Option("--late", help="Late events instead of dead letters.")]
Reasons = Annotated[
    list[str] | None, typer.Option("--reason", help="Only this reason; may be repeated.")
]
Source = Annotated[str | None, typer.Option(help="Only this source, the record's key.")]
Since = Annotated[str | None, typer.Option(help="Set aside at this time or after it, RFC 3339.")]
Until = Annotated[str | None, typer.Option(help="Set aside before this time, RFC 3339.")]
Partition = Annotated[
    int | None, typer.Option(min=0, help="Only this partition of the dead-letter topic itself.")
]
FromOffset = Annotated[
    int | None, typer.Option(min=0, help="First offset there; with --partition.")
]
ToOffset = Annotated[
    int | None, typer.Option(min=0, help="Offset there to stop before; with --partition.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="At most so many records.")]

_KEYS: Mapping[RedriveOf, str] = {
    "dead-letter": "topics.dead_letters",
    "late": "topics.late_events",
}
_COORDINATES = re.compile(r"(\d{1,9}):(\d{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Scope:
    """What to read of which topic. Offsets are half-open and those of that topic itself."""

    kind: RedriveOf
    topic: str
    selection: Selection = field(default_factory=Selection)
    partition: int | None = None
    from_offset: int | None = None
    to_offset: int | None = None
    limit: int | None = None

    def spans(self, reader: TopicReader) -> list[Span]:
        """Return the stretches to read, up to the end as of now. Raises OperatorError."""
        partitions = reader.partitions(self.topic)
        if not partitions:
            raise OperatorError(
                f"there is no topic {self.topic}: check {_KEYS[self.kind]} and"
                " kafka.bootstrap_servers, or run `mmworker topics create`"
            )
        if self.partition is not None and self.partition not in partitions:
            raise OperatorError(
                f"topic {self.topic} has no partition {self.partition}:"
                f" give one of 0..{partitions[-1]}"
            )
        wanted = partitions if self.partition is None else [self.partition]
        found = reader.spans(self.topic, wanted, self.selection.since)
        return [self._clipped(span) for span in found]

    def read(self, reader: TopicReader, spans: Sequence[Span]) -> Iterator[SetAside]:
        """Yield what is selected in the order of partitions and offsets, up to the limit."""
        return islice((each for span in spans for each in self.read_span(reader, span)), self.limit)

    def read_span(self, reader: TopicReader, span: Span) -> Iterator[SetAside]:
        """Return what is selected of one stretch, without a limit."""
        found = (read_set_aside(record, self.kind) for record in reader.read(span))
        return filter(self.selection.takes, found)

    def _clipped(self, span: Span) -> Span:
        start = max(span.start, self.from_offset or 0)
        stop = span.stop if self.to_offset is None else min(span.stop, self.to_offset)
        return replace(span, start=start, stop=stop)


def scope_of(
    kind: RedriveOf,
    topic: str,
    *,
    reasons: Sequence[str],
    source: str | None,
    since: str | None,
    until: str | None,
    partition: int | None,
    from_offset: int | None,
    to_offset: int | None,
    limit: int | None,
) -> Scope:
    """Return what the options ask for. Raises OperatorError."""
    if reasons and kind == "late":
        raise OperatorError("--reason: late events have no reason; leave it out with --late.")
    if partition is None and (from_offset is not None or to_offset is not None):
        raise OperatorError("--from-offset and --to-offset need --partition: offsets are per one.")
    selection = Selection(
        reasons=frozenset(map(_reason, reasons)),
        source=source,
        since=time_option("--since", since),
        until=time_option("--until", until),
    )
    return Scope(kind, topic, selection, partition, from_offset, to_offset, limit)


def coordinates(text: str) -> tuple[int, int]:
    """Return partition and offset from `PARTITION:OFFSET`. Raises OperatorError."""
    match = _COORDINATES.fullmatch(text)
    if match is None:
        raise OperatorError(
            f"{text!r} names no record: give PARTITION:OFFSET, as in 0:17, which"
            " `mmworker dead-letters list` prints."
        )
    return int(match.group(1)), int(match.group(2))


def _reason(text: str) -> Reason:
    try:
        return Reason(text)
    except ValueError:
        known = [str(reason) for reason in Reason]
        near = difflib.get_close_matches(text, known, 1)
        hint = f"did you mean {near[0]}?" if near else "there are " + ", ".join(known)
        raise OperatorError(f"--reason: no dead letter has {text!r}: {hint}") from None


def time_option(option: str, text: str | None) -> int | None:
    """Return microseconds since the epoch, None where nothing was given. Raises OperatorError."""
    try:
        return None if text is None else rfc3339.parse(text)
    except (ValueError, OverflowError):
        raise OperatorError(
            f"{option}: give an RFC 3339 time, as in 2026-01-01T12:00:00Z."
        ) from None
