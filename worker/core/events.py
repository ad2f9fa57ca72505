"""The values at the start of the way: a record as read, and the event it carries."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations


class Modality(StrEnum):
    """What an event observes. The order is the order of every table, vector and mask."""

    FRAME = "frame"
    CAPTION = "caption"
    AUDIO = "audio"


MODALITIES = tuple(Modality)
# What may contradict each other, by the name that messages have for it: frame-caption, ..
PAIRS = {f"{one}-{other}": (one, other) for one, other in combinations(MODALITIES, 2)}
EVENT_TYPES = {f"multimodal.{modality}.v1": modality for modality in MODALITIES}

_TOKEN = re.compile(r"[A-Za-z0-9!#$&^_.+-]+")  # a value that needs no quotes


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a log. `timestamp` is its append time in microseconds since the epoch.

    `size` is the bytes of key, value and headers, reckoned once: whatever waits is asked for it.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    size: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        size = len(self.key or b"") + len(self.value or b"")
        for name, value in self.headers:
            size += len(name) + len(value or b"")
        object.__setattr__(self, "size", size)


@dataclass(frozen=True, slots=True)
class ContentType:
    """A parsed media type, e.g. `audio/l16` with `{"rate": "16000"}`; all names in lower case."""

    name: str
    parameters: tuple[tuple[str, str], ...] = ()

    def parameter(self, name: str, default: str) -> str:
        """Return the parameter's value, or `default` where it is absent."""
        return dict(self.parameters).get(name, default)

    def __str__(self) -> str:
        """Return the one text of equal types, as a header has it: parameters in order of name.

        >>> str(ContentType("audio/l16", (("rate", "16000"), ("channels", "1"))))
        'audio/l16;channels=1;rate=16000'
        """
        given = dict(self.parameters)  # of a repeated one the last counts, as in `parameter`
        return ";".join([self.name, *(f"{key}={_quoted(given[key])}" for key in sorted(given))])


def _quoted(value: str) -> str:
    """Quote all but tokens: a `;` within a value must not look like the next parameter."""
    return value if _TOKEN.fullmatch(value) else f'"{value}"'


@dataclass(frozen=True, slots=True)
class Event:
    """One validated input record. `time` is when its capture began; nothing is decoded yet.

    One that `amends` is sent again on purpose, after it was set aside.
    """

    source: str
    modality: Modality
    id: str
    time: int
    content_type: ContentType
    record: Record
    correlation_id: str | None = None
    traceparent: str | None = None
    amends: bool = False

    @property
    def payload(self) -> bytes:
        """The raw media."""
        return self.record.value or b""

    @property
    def identity(self) -> tuple[Modality, str]:
        """What makes it a duplicate of another event of its source."""
        return (self.modality, self.id)
