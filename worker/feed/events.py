"""The events that files turn into, and their form as records (CloudEvents 1.0, binary mode)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from worker.core import rfc3339
from worker.core.events import Modality
from worker.core.ports import Headers, Output

JPEG = "image/jpeg"
FLAC = "audio/flac"
PLAIN_TEXT = "text/plain; charset=utf-8"


class Piece(NamedTuple):
    """What one event will carry. `offset` is microseconds from the start of the file."""

    offset: int
    content_type: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """One input event to be. `time` is when its capture began, in microseconds since the epoch."""

    source: str
    modality: Modality
    id: str
    time: int
    content_type: str
    payload: bytes
    correlation_id: str | None = None


def to_event(
    piece: Piece, *, source: str, modality: Modality, start: int, number: int
) -> FeedEvent:
    """Return the `number`th piece of a source and modality as an event; offset 0 is at `start`.

    The id holds `start` (microseconds since the epoch), so it stays unique per source when the same
    file is played again later, and is the same when the same run is repeated.
    """
    return FeedEvent(
        source=source,
        modality=modality,
        id=f"{modality}-{start}-{number:06d}",
        time=start + piece.offset,
        content_type=piece.content_type,
        payload=piece.payload,
    )


def to_output(event: FeedEvent, topics: Mapping[Modality, str]) -> Output:
    """Return the record: the payload as value, the envelope as headers, the source as key."""
    return Output(
        topic=topics[event.modality],
        key=event.source.encode(),
        value=event.payload,
        headers=_headers(event),
    )


def _headers(event: FeedEvent) -> Headers:
    envelope = {
        "ce_specversion": "1.0",
        "ce_id": event.id,
        "ce_source": event.source,
        "ce_type": f"multimodal.{event.modality}.v1",
        "ce_time": rfc3339.format(event.time),
        "content-type": event.content_type,
    }
    if event.correlation_id is not None:
        envelope["ce_correlationid"] = event.correlation_id
    return tuple((name, value.encode()) for name, value in envelope.items())
