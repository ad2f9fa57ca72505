"""The values at the start of the way: a record as read, and the event it carries."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Modality(StrEnum):
    """What an event observes. The order is the order of every table, vector and mask."""

    FRAME = "frame"
    CAPTION = "caption"
    AUDIO = "audio"


MODALITIES = tuple(Modality)
EVENT_TYPES = {f"multimodal.{modality}.v1": modality for modality in MODALITIES}


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a log. `timestamp` is its append time in microseconds since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()

    @property
    def size(self) -> int:
        """The bytes of key, value and headers."""
        headers = sum(len(name) + len(value or b"") for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers


@dataclass(frozen=True, slots=True)
class ContentType:
    """A parsed media type, e.g. `audio/l16` with `{"rate": "16000"}`; all names in lower case."""

    name: str
    parameters: tuple[tuple[str, str], ...] = ()

    def parameter(self, name: str, default: str) -> str:
        """Return the parameter's value, or `default` where it is absent."""
        return dict(self.parameters).get(name, default)


@dataclass(frozen=True, slots=True)
class Event:
    """One validated input record. `time` is when its capture began; nothing is decoded yet."""

    source: str
    modality: Modality
    id: str
    time: int
    content_type: ContentType
    record: Record
    correlation_id: str | None = None
    traceparent: str | None = None

    @property
    def payload(self) -> bytes:
        """The raw media."""
        return self.record.value or b""

    @property
    def identity(self) -> tuple[Modality, str]:
        """What makes it a duplicate of another event of its source."""
        return (self.modality, self.id)
