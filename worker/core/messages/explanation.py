"""What in a Moment made it unusual, and with what it is to be compared: where to look first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from worker.core import rfc3339
from worker.core.events import MODALITIES, Modality
from worker.core.messages.assessment import check_unit
from worker.core.messages.reading import Fields
from worker.core.messages.writing import Document, in_order, without_none

MAX_CAPTION = 1000  # characters


@dataclass(frozen=True, slots=True)
class NearestNormal:
    """The Observation of a normal Moment that is most like this one in a modality."""

    observation_id: str
    modality: Modality

    def document(self) -> Document:
        """Return the JSON object."""
        return {"observation_id": self.observation_id, "modality": self.modality}


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the picture, counted from its upper left one, 0; `heat` in (0, 1] is its share."""

    row: int
    column: int
    heat: float

    def __post_init__(self) -> None:
        check_unit("heat", self.heat)

    def document(self) -> Document:
        """Return the JSON object."""
        return {"row": self.row, "column": self.column, "heat": self.heat}


@dataclass(frozen=True, slots=True)
class Region:
    """Where in the picture it is: the hottest cells of `rows` x `columns`, hottest first."""

    rows: int
    columns: int
    cells: tuple[Cell, ...]

    def document(self) -> Document:
        """Return the JSON object."""
        cells = [each.document() for each in self.cells]
        return {"rows": self.rows, "columns": self.columns, "cells": cells}


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a Moment's time, `[begin, end)` in microseconds since the epoch."""

    begin: int
    end: int

    def document(self) -> Document:
        """Return the JSON object."""
        return {"begin": rfc3339.format(self.begin), "end": rfc3339.format(self.end)}


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is there to be shown of an unusual Moment.

    `experts` are shares of the contributions, as which they add up: one on a pair of modalities has
    a part in both.
    What is None does not apply: nothing normal is kept, or the modality has no part in it.
    `derived` are the modalities that are heard, in part or alone, by what another one holds.
    `caption` are the words of the one that was heard, up to MAX_CAPTION characters of them.
    `extrapolated_from` are the normal scores that the strongest expert's p-value comes from, where
    it is smaller than so many can show, 1 / (n + 1): an extrapolation from their tail.
    """

    experts: Mapping[str, float]
    nearest_normal: NearestNormal | None = None
    region: Region | None = None
    sound: Span | None = None
    derived: tuple[Modality, ...] = ()
    caption: str | None = None
    extrapolated_from: int | None = None

    def document(self) -> Document:
        """Return the JSON object."""
        nearest, region, sound = self.nearest_normal, self.region, self.sound
        document: Document = {
            "experts": in_order(self.experts),
            "nearest_normal": None if nearest is None else nearest.document(),
            "region": None if region is None else region.document(),
            "sound": None if sound is None else sound.document(),
            "derived": self.derived or None,
            "caption": self.caption,
            "extrapolated_from": self.extrapolated_from,
        }
        return without_none(document, *(name for name in document if name != "experts"))


def read_explanation(fields: Fields) -> Explanation | None:
    """Return the field `explanation` of a message; None where it has none. Raises ValueError."""
    inner = fields.optional("explanation", fields.nested)
    return None if inner is None else _explanation(inner)


def _explanation(fields: Fields) -> Explanation:
    nearest = fields.optional("nearest_normal", fields.nested)
    region = fields.optional("region", fields.nested)
    sound = fields.optional("sound", fields.nested)
    return Explanation(
        experts=fields.numbers("experts"),
        nearest_normal=None if nearest is None else _nearest(nearest),
        region=None if region is None else _region(region),
        sound=None if sound is None else Span(sound.time("begin"), sound.time("end")),
        derived=fields.optional("derived", lambda name: fields.choices(name, MODALITIES)) or (),
        caption=fields.optional("caption", fields.text),
        extrapolated_from=fields.optional("extrapolated_from", fields.integer),
    )


def _nearest(fields: Fields) -> NearestNormal:
    return NearestNormal(fields.text("observation_id"), fields.choice("modality", MODALITIES))


def _region(fields: Fields) -> Region:
    return Region(
        rows=fields.integer("rows"),
        columns=fields.integer("columns"),
        cells=tuple(
            Cell(each.integer("row"), each.integer("column"), each.number("heat"))
            for each in fields.each("cells")
        ),
    )
