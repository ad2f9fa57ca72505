"""Dead letters and late events as they are found in their topics, and the choice among them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.core.events import Record
from worker.core.messages.redrive import RedriveOf, attempts_of, last_header
from worker.errors import Reason

PREFIXES: Mapping[RedriveOf, str] = {"dead-letter": "mmworker.error.", "late": "mmworker.late."}
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a record was first read."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class SetAside:
    """A dead letter or a late event. What its headers do not tell is None.

    `watermark` is the RFC 3339 time that a late event was late for. `size` is that of the original
    value in bytes; `is_digest`: the value itself was too large to be kept.
    """

    kind: RedriveOf
    record: Record
    origin: Origin | None
    reason: str | None
    stage: str | None
    message: str | None
    watermark: str | None
    attempts: int
    size: int
    is_digest: bool


@dataclass(frozen=True, slots=True)
class Selection:
    """What is asked for; what is empty or None does not limit.

    `since` (included) and `until` (not included) are append times in microseconds since the epoch.
    """

    reasons: frozenset[Reason] = field(default_factory=frozenset)
    source: str | None = None
    since: int | None = None
    until: int | None = None

    def takes(self, found: SetAside) -> bool:
        """Return whether the record is asked for."""
        time = found.record.timestamp
        return (
            (not self.reasons or found.reason in self.reasons)
            and (self.source is None or found.record.key == self.source.encode())
            and (self.since is None or self.since <= time)
            and (self.until is None or time < self.until)
        )


def read_set_aside(record: Record, kind: RedriveOf) -> SetAside:
    """Return what the record's headers say. Never raises: others may write to the topic too."""
    headers, prefix = record.headers, PREFIXES[kind]

    def told(name: str) -> str | None:
        return last_header(headers, prefix + name)

    size = _number(told("value_size"))
    is_digest = record.value is None and told("value_sha256") is not None
    return SetAside(
        kind=kind,
        record=record,
        origin=_origin(told("topic"), told("partition"), told("offset")),
        reason=told("reason"),
        stage=told("stage"),
        message=told("message"),
        watermark=told("watermark"),
        attempts=attempts_of(headers),
        size=size if is_digest and size is not None else len(record.value or b""),
        is_digest=is_digest,
    )


def _origin(topic: str | None, partition: str | None, offset: str | None) -> Origin | None:
    index, place = _number(partition), _number(offset)
    if topic is None or index is None or place is None:
        return None
    return Origin(topic, index, place)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and _NUMBER.fullmatch(text) else None
