"""What alerts and observations both say about the events of a Moment."""

from __future__ import annotations

from dataclasses import dataclass

from worker.core import rfc3339
from worker.core.events import MODALITIES, Modality
from worker.core.messages.reading import Fields
from worker.core.messages.writing import Document


@dataclass(frozen=True, slots=True)
class InputRef:
    """One event of a Moment and where its record is. `time` in microseconds since the epoch.

    `carried` marks a caption of an earlier Moment that still holds.
    """

    modality: Modality
    topic: str
    partition: int
    offset: int
    id: str
    time: int
    carried: bool = False

    def document(self) -> Document:
        """Return the JSON object; `carried` is only written where it is true."""
        document: Document = {
            "modality": self.modality,
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "id": self.id,
            "time": rfc3339.format(self.time),
        }
        if self.carried:
            document["carried"] = True
        return document


@dataclass(frozen=True, slots=True)
class Modalities:
    """Which modalities spoke: with an event of their own, by an earlier one, or not at all.

    Each is in one of the three. `derived` are those that something made from another modality
    speaks for as well.
    """

    present: tuple[Modality, ...]
    carried: tuple[Modality, ...]
    missing: tuple[Modality, ...]
    derived: tuple[Modality, ...] = ()

    def document(self) -> Document:
        """Return the JSON object; `derived` is only written where there is something."""
        document: Document = {
            "present": self.present,
            "carried": self.carried,
            "missing": self.missing,
        }
        if self.derived:
            document["derived"] = self.derived
        return document


def read_inputs(fields: Fields) -> tuple[InputRef, ...]:
    """Return the field `inputs` of a message. Raises ValueError."""
    return tuple(_input(each) for each in fields.each("inputs"))


def _input(fields: Fields) -> InputRef:
    return InputRef(
        modality=fields.choice("modality", MODALITIES),
        topic=fields.text("topic"),
        partition=fields.integer("partition"),
        offset=fields.integer("offset"),
        id=fields.text("id"),
        time=fields.time("time"),
        carried=fields.optional("carried", fields.flag) or False,
    )


def read_modalities(fields: Fields) -> Modalities:
    """Return the field `modalities` of a message. Raises ValueError."""
    inner = fields.nested("modalities")
    return Modalities(
        present=inner.choices("present", MODALITIES),
        carried=inner.choices("carried", MODALITIES),
        missing=inner.choices("missing", MODALITIES),
        derived=inner.optional("derived", lambda name: inner.choices(name, MODALITIES)) or (),
    )


def check_window(start: int, end: int) -> None:
    """Raise ValueError where a window ends before it starts; a correlated Moment may be a point."""
    if end < start:
        raise ValueError("window_end must not be before window_start")
