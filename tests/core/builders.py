"""Small builders of core values. Times are in seconds here, for readability."""

from __future__ import annotations

from itertools import count

from worker.core import rfc3339
from worker.core.events import ContentType, Event, Modality, Record
from worker.core.pairing_rules import PairingRules
from worker.core.rfc3339 import seconds

_offsets = count()

TOPICS = {Modality.FRAME: "frames", Modality.CAPTION: "captions", Modality.AUDIO: "audio"}
TYPES = {Modality.FRAME: "image/jpeg", Modality.CAPTION: "text/plain", Modality.AUDIO: "audio/wav"}


def rules(
    *awaited: str, window: float = 1, grace: float = 2, idle: float = 10, carry: float = 5
) -> PairingRules:
    return PairingRules(
        window=seconds(window),
        grace=seconds(grace),
        awaited=frozenset(map(Modality, awaited or ("frame", "audio"))),
        idle_timeout=seconds(idle),
        carry_caption=seconds(carry),
    )


def event(
    modality: str,
    time: float,
    source: str = "/cameras/a",
    name: str | None = None,
    appended: float | None = None,
    correlation: str | None = None,
    payload: bytes = b"x",
) -> Event:
    kind = Modality(modality)
    at = seconds(time if appended is None else appended)
    record = Record(TOPICS[kind], 0, next(_offsets), at, source.encode(), payload)
    return Event(
        source=source,
        modality=kind,
        id=name or f"{modality}-{time:g}",
        time=seconds(time),
        content_type=ContentType(TYPES[kind]),
        record=record,
        correlation_id=correlation,
    )


def headers(
    modality: str = "frame", source: str = "/cameras/a", time: float = 100, **changes: str | None
) -> tuple[tuple[str, bytes | None], ...]:
    """Return valid input headers; a change of None leaves the header out (write - as _)."""
    values: dict[str, str | None] = {
        "ce_specversion": "1.0",
        "ce_id": "1",
        "ce_source": source,
        "ce_type": f"multimodal.{modality}.v1",
        "ce_time": rfc3339.format(seconds(time)),
        "content-type": TYPES[Modality(modality)],
    }
    values |= {name.replace("content_type", "content-type"): v for name, v in changes.items()}
    return tuple((name, value.encode()) for name, value in values.items() if value is not None)
