"""The headers of all that the worker writes. Header values are UTF-8 text."""

from __future__ import annotations

from hashlib import sha256
from typing import Literal

from worker.core import rfc3339
from worker.core.events import Record
from worker.core.ports import Headers
from worker.errors import Reason

MAX_MESSAGE_CHARS = 512
_ELLIPSIS = "…"

RawHeaders = tuple[tuple[str, bytes | None], ...]


def output_headers(
    kind: Literal["alert", "observation", "feedback"],
    id: str,  # noqa: A002 - the name of the CloudEvents attribute
    source: str,
    time: int,
    traceparent: str | None,
) -> Headers:
    """Return the CloudEvents 1.0 envelope (Kafka binary content mode) of an output.

    `id` is unique per source: an Observation's id, the `message_id` of others. `time` is event time
    in microseconds since the epoch, so that a replay writes the same bytes; of feedback its own.
    """
    headers = {
        "ce_specversion": "1.0",
        "ce_id": id,
        "ce_source": source,
        "ce_type": f"multimodal.{kind}.v1",
        "ce_time": rfc3339.format(time),
        "content-type": "application/json",
    }
    if traceparent is not None:
        headers["traceparent"] = traceparent
    return _encoded(headers)


def dead_letter_headers(
    record: Record, stage: str, reason: Reason, message: str, worker: str
) -> RawHeaders:
    """Return the record's own headers, untouched, and after them what went wrong with it where.

    `message` is cut to 512 characters, its control characters are escaped. A record that becomes a
    dead letter for the second time has these headers twice: the last ones hold.
    """
    added = {
        "mmworker.error.stage": stage,
        "mmworker.error.reason": str(reason),
        "mmworker.error.message": _bounded(message),
        "mmworker.error.topic": record.topic,
        "mmworker.error.partition": str(record.partition),
        "mmworker.error.offset": str(record.offset),
        "mmworker.error.worker": worker,
    }
    return record.headers + _encoded(added)


def late_headers(record: Record, watermark: int) -> RawHeaders:
    """Return the record's own headers and after them where it was read and what it was late for.

    `watermark` in microseconds since the epoch: the later of `front - grace` and the end of the
    last closed window.
    """
    added = {
        "mmworker.late.topic": record.topic,
        "mmworker.late.partition": str(record.partition),
        "mmworker.late.offset": str(record.offset),
        "mmworker.late.watermark": rfc3339.format(watermark),
    }
    return record.headers + _encoded(added)


def capped_value(value: bytes | None, cap: int) -> tuple[bytes | None, Headers]:
    """Return the value as it is, or None and headers with its digest and size.

    The latter where the value has more than `cap` bytes.
    """
    if value is None or len(value) <= cap:
        return value, ()
    digest = {
        "mmworker.error.value_sha256": sha256(value).hexdigest(),
        "mmworker.error.value_size": str(len(value)),
    }
    return None, _encoded(digest)


def _encoded(headers: dict[str, str]) -> Headers:
    return tuple((name, value.encode()) for name, value in headers.items())


def _bounded(message: str) -> str:
    """Return one printable line; escapes count towards its length."""
    line = "".join(map(_printable, message[:MAX_MESSAGE_CHARS]))
    if len(line) <= MAX_MESSAGE_CHARS and len(message) <= MAX_MESSAGE_CHARS:
        return line
    return line[: MAX_MESSAGE_CHARS - len(_ELLIPSIS)] + _ELLIPSIS


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")
