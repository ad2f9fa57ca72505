"""From a record to an event: the checks of the envelope, in a fixed order.

The order is size, headers, key, partition, type, time, content type; the first check that fails
names the reason. The media themselves are looked at later, off the state machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal, get_args

from worker.core import rfc3339
from worker.core.events import EVENT_TYPES, ContentType, Event, Modality, Record
from worker.core.messages.feedback import Feedback, read_feedback
from worker.core.messages.redrive import ATTEMPT, OF, RedriveOf, last_header
from worker.core.partitioner import partition_for
from worker.errors import InvalidEventError, Reason

MAX_HEADERS = 64
MAX_HEADER_BYTES = 32 * 1024  # keys and values
MAX_NAME_CHARS = 512  # of an id, a source or a correlation id
MAX_CONTENT_TYPE_CHARS = 256
MAX_FEEDBACK_BYTES = 16 * 1024
FEEDBACK: Final = "feedback"

# What lies outside could not be written as a time again once a window or a grace is added.
EARLIEST = rfc3339.parse("0002-01-01T00:00:00Z")
LATEST = rfc3339.parse("9998-12-31T00:00:00Z")

CONTENT_TYPES: Mapping[Modality, frozenset[str]] = {
    Modality.FRAME: frozenset({"image/jpeg", "image/png", "image/webp"}),
    Modality.CAPTION: frozenset({"text/plain", "application/json"}),
    Modality.AUDIO: frozenset({"audio/wav", "audio/flac", "audio/ogg", "audio/l16"}),
}

_KINDS = get_args(RedriveOf)
_REQUIRED = ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_TOKEN = r"[A-Za-z0-9!#$&^_.+-]+"  # noqa: S105 - a grammar rule of RFC 9110, not a secret
_MEDIA_TYPE = re.compile(
    rf"({_TOKEN}/{_TOKEN})((?:\s*;\s*{_TOKEN}=(?:{_TOKEN}|\"[^\"\\]*\"))*)\s*;?"
)
_PARAMETER = re.compile(rf"({_TOKEN})=({_TOKEN}|\"[^\"\\]*\")")

Partitioner = Literal["murmur2", "crc32", "any"]


@dataclass(frozen=True, slots=True)
class EnvelopeRules:
    """What an acceptable record looks like here. `max_skew` is in microseconds."""

    modality_of_topic: Mapping[str, Modality]
    partitions: int
    partitioner: Partitioner
    max_record_bytes: int
    max_skew: int
    feedback_topic: str | None = None  # None: none is read

    def kind(self, topic: str) -> Modality | Literal["feedback"]:
        """Return what a topic is read as."""
        return FEEDBACK if topic == self.feedback_topic else self.modality_of_topic[topic]


def parse(record: Record, rules: EnvelopeRules) -> Event:
    """Return the event that the record carries. Raises InvalidEventError."""
    _check_size(record, rules.max_record_bytes)
    headers = _checked_headers(record)
    source = headers["ce_source"]
    _check_key(record, source)
    _check_partition(record, rules)
    modality = _modality(headers["ce_type"], record.topic, rules)
    return Event(
        source=source,
        modality=modality,
        id=headers["ce_id"],
        time=_time(headers["ce_time"], record.timestamp, rules.max_skew),
        content_type=_content_type(headers["content-type"], modality),
        record=record,
        correlation_id=headers.get("ce_correlationid"),
        traceparent=_traceparent(headers),
        amends=last_header(record.headers, OF) in _KINDS,
    )


def parse_feedback(record: Record, rules: EnvelopeRules) -> Feedback:
    """Return what a person says in a record. It needs no headers. Raises InvalidEventError.

    Without the comment, which is for people: what is kept and passed on has no need of it.
    """
    _check_size(record, min(rules.max_record_bytes, MAX_FEEDBACK_BYTES))
    try:
        said = read_feedback(record.value or b"")
    except ValueError as error:
        raise InvalidEventError(Reason.INVALID_FEEDBACK, str(error)) from None
    _check_key(record, said.source, "source")
    _check_partition(record, rules)
    return replace(said, comment=None)


def _check_size(record: Record, limit: int) -> None:
    if record.value is None:
        raise InvalidEventError(Reason.NULL_VALUE, "the record has no value")
    if not record.value:
        raise InvalidEventError(Reason.EMPTY_VALUE, "the record's value is empty")
    size = len(record.value)
    if size > limit:
        raise InvalidEventError(Reason.TOO_LARGE, f"the value has {size} bytes, more than {limit}")


def _checked_headers(record: Record) -> dict[str, str]:
    """Return the envelope's headers as text. Others are counted and otherwise left alone."""
    _check_number(record)
    headers: dict[str, str] = {}
    size = 0
    for key, value in record.headers:
        size += len(key.encode()) + len(value or b"")
    if size > MAX_HEADER_BYTES:
        message = f"{size} bytes of headers, more than {MAX_HEADER_BYTES}"
        raise InvalidEventError(Reason.HEADERS_TOO_LARGE, message)
    for key, value in record.headers:
        if key == "traceparent":
            headers[key] = (value or b"").decode("ascii", errors="replace")
        elif key.startswith("ce_") or key == "content-type":
            if key in headers:
                raise InvalidEventError(Reason.MALFORMED_HEADER, f"header {key} stands twice")
            headers[key] = _text(key, value)
    _check_envelope(headers)
    return headers


def _check_number(record: Record) -> None:
    if len(record.headers) <= MAX_HEADERS:
        return
    count = sum(name not in (ATTEMPT, OF) for name, _ in record.headers)  # ours come on top
    if count > MAX_HEADERS:
        message = f"{count} headers, more than {MAX_HEADERS}"
        raise InvalidEventError(Reason.TOO_MANY_HEADERS, message)


def _check_envelope(headers: Mapping[str, str]) -> None:
    for name in _REQUIRED:
        if name not in headers:
            raise InvalidEventError(Reason.MISSING_HEADER, f"header {name} is missing")
    if headers["ce_specversion"] != "1.0":
        message = "ce_specversion is not 1.0"
        raise InvalidEventError(Reason.UNSUPPORTED_SPECVERSION, message)
    if "ce_dataref" in headers:
        message = "ce_dataref is not accepted here: send the media as the record's value"
        raise InvalidEventError(Reason.DATAREF_REFUSED, message)
    for name in ("ce_id", "ce_source", "ce_correlationid"):
        if not 0 < len(headers.get(name, "-")) <= MAX_NAME_CHARS:
            message = f"{name} is empty or longer than {MAX_NAME_CHARS} characters"
            raise InvalidEventError(Reason.MALFORMED_HEADER, message)


def _text(key: str, value: bytes | None) -> str:
    try:
        text = (value or b"").decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidEventError(Reason.MALFORMED_HEADER, f"header {key} is not UTF-8") from None
    if not text.isprintable():
        message = f"header {key} has control characters"
        raise InvalidEventError(Reason.MALFORMED_HEADER, message)
    return text


def _check_key(record: Record, source: str, name: str = "ce_source") -> None:
    if record.key is None:
        raise InvalidEventError(Reason.NULL_KEY, f"the record has no key: the key must be {name}")
    if record.key != source.encode():
        raise InvalidEventError(Reason.KEY_MISMATCH, f"the record's key is not its {name}")


def _check_partition(record: Record, rules: EnvelopeRules) -> None:
    if rules.partitioner == "any" or record.key is None:
        return
    expected = partition_for(record.key, rules.partitions, rules.partitioner)
    if record.partition != expected:
        message = (
            f"{rules.partitioner} puts this key into partition {expected}, not {record.partition}:"
            " set the producer's partitioner, or kafka.partitioner here"
        )
        raise InvalidEventError(Reason.WRONG_PARTITION, message)


def _modality(event_type: str, topic: str, rules: EnvelopeRules) -> Modality:
    modality = EVENT_TYPES.get(event_type)
    if modality is None:
        known = ", ".join(EVENT_TYPES)
        raise InvalidEventError(Reason.UNKNOWN_TYPE, f"ce_type is not one of {known}")
    if rules.modality_of_topic[topic] is not modality:
        raise InvalidEventError(Reason.WRONG_TOPIC, f"a {modality} event in topic {topic}")
    return modality


def _time(text: str, append_time: int, max_skew: int) -> int:
    try:
        time = rfc3339.parse(text)
    except (ValueError, OverflowError):
        message = "ce_time is not an RFC 3339 time with a zone"
        raise InvalidEventError(Reason.MALFORMED_TIME, message) from None
    if not EARLIEST <= time <= LATEST:
        message = "ce_time is not within the years 2 and 9998"
        raise InvalidEventError(Reason.MALFORMED_TIME, message)
    ahead = time - append_time
    if ahead > max_skew:
        message = f"ce_time is {ahead / rfc3339.MICROSECONDS:.1f} s ahead of the append time"
        raise InvalidEventError(Reason.TIME_AHEAD, message)
    return time


@lru_cache(maxsize=1024)  # what cameras send is nearly always the same
def _content_type(text: str, modality: Modality) -> ContentType:
    match = _MEDIA_TYPE.fullmatch(text) if len(text) <= MAX_CONTENT_TYPE_CHARS else None
    name = match.group(1).lower() if match else ""
    if match is None or name not in CONTENT_TYPES[modality]:
        known = ", ".join(sorted(CONTENT_TYPES[modality]))
        message = f"the content-type of a {modality} event is not one of {known}"
        raise InvalidEventError(Reason.UNSUPPORTED_CONTENT_TYPE, message)
    pairs = _PARAMETER.findall(match.group(2))
    return ContentType(name, tuple((key.lower(), value.strip('"').lower()) for key, value in pairs))


def _traceparent(headers: Mapping[str, str]) -> str | None:
    text = headers.get("traceparent", "")
    return text if _TRACEPARENT.fullmatch(text) else None
