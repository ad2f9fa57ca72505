"""The records of topic `snapshots`: how the state of a partition index is written and read.

Keys: `index` for what its sources share, `source:NAME` for what is small and written with each
commit that changed it, `scorer:NAME` for the learned numbers, written now and then, `shadow:NAME`
for those that a bundle in shadow has learned by, and `reference:NAME` for what stands for its
frames, written when it changed. States and references say the number of their commit: those of
before a cold start do not count. Where a bundle in shadow became the live one its numbers stay
where they are, and `index` says that both kinds have changed places.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

import numpy as np
import safetensors.numpy
from pydantic import ConfigDict, TypeAdapter, ValidationError
from safetensors import SafetensorError

from worker.core.caution import Attempts
from worker.core.false_discoveries import Discoveries
from worker.core.ports import Output
from worker.core.source_state import SourceState
from worker.scoring.scored import ScorerState
from worker.scoring.state import State, integers

VERSION = 1
INDEX_KEY = b"index"
SOURCE = "source:"
Numbers = Literal["scorer:", "shadow:"]  # whose learned numbers
SCORER: Numbers = "scorer:"
SHADOW: Numbers = "shadow:"
Kind = Literal["scorer:", "shadow:", "reference:"]  # of records that may be there for a source
REFERENCE: Kind = "reference:"

T = TypeVar("T")


class StateRecordError(Exception):
    """A record that this version cannot read. One sentence."""


@dataclass(frozen=True, slots=True)
class ShadowState:
    """What is known in shadow beside its sources, and what the scorer of a bundle learns by.

    `model` is the digest of all that gives its numbers their meaning; empty where there is none.
    """

    model: str = ""
    scorer: ScorerState = field(default_factory=ScorerState)
    discoveries: Discoveries = field(default_factory=Discoveries)


@dataclass(frozen=True, slots=True)
class IndexState:
    """What the sources of a partition index share. `number` counts its commits.

    State records with a number up to `since` are of before its last cold start. `closed` counts
    Moments; `clock` is the append time reached, in microseconds. `is_swapped`: the live scorer's
    numbers are where otherwise those of a bundle in shadow are. `discoveries` is what the control
    of the false-discovery rate remembers.
    """

    group: str
    number: int = 0
    since: int = 0
    closed: int = 0
    clock: int = 0
    scorer: ScorerState = field(default_factory=ScorerState)
    attempts: Attempts = field(default_factory=Attempts)
    shadow: ShadowState = field(default_factory=ShadowState)
    is_swapped: bool = False
    discoveries: Discoveries = field(default_factory=Discoveries)

    def swapped(self, model: str) -> IndexState:
        """Return it with the live scorer, which has learned by `model`, and the other swapped."""
        moments, other = self.scorer.moments, self.shadow
        scorer = other.scorer if other.model else ScorerState(moments, moments)
        return replace(
            self,
            scorer=scorer,
            shadow=ShadowState(model, self.scorer, other.discoveries),
            is_swapped=not self.is_swapped,
        )


@dataclass(frozen=True, slots=True)
class StoredSource:
    """What is known of a source since the commit `number`."""

    number: int
    state: SourceState


@dataclass(frozen=True, slots=True)
class StoredNumbers:
    """The learned numbers of a source after the Moment `moments` of its partition index."""

    moments: int
    arrays: State


@dataclass(frozen=True, slots=True)
class Stored:
    """All that the topic's partition holds; numbers and references are as they were written.

    `numbers` are those of the live scorer, wherever they are.
    """

    index: IndexState | None
    sources: tuple[StoredSource, ...]
    numbers: dict[str, bytes]
    shadow_numbers: dict[str, bytes]
    references: dict[str, bytes]


def read_stored(records: Iterable[tuple[bytes, bytes | None]]) -> Stored:
    """Return what the records, keys and values in their order, amount to.

    Only the last one of each key is read: in a compacted topic there are many that it replaces.
    Raises StateRecordError.
    """
    last: dict[bytes, bytes] = {}
    for key, value in records:
        last.pop(key, None)
        if value is not None:
            last[key] = value
    index = None if (found := last.get(INDEX_KEY)) is None else _read(_INDEX, found)
    live, other = _places(index is not None and index.is_swapped)
    return Stored(
        index=index,
        sources=tuple(_read(_SOURCE, value)[0] for _, value in _of_kind(SOURCE, last)),
        numbers=dict(_of_kind(live, last)),
        shadow_numbers=dict(_of_kind(other, last)),
        references=dict(_of_kind(REFERENCE, last)),
    )


def _places(is_swapped: bool) -> tuple[Numbers, Numbers]:
    """Return what the keys of the live scorer's numbers begin with, and of the other's."""
    return (SHADOW, SCORER) if is_swapped else (SCORER, SHADOW)


def _of_kind(prefix: str, last: Mapping[bytes, bytes]) -> Iterator[tuple[str, bytes]]:
    start = prefix.encode()
    for key, value in last.items():
        if key.startswith(start):
            yield key.removeprefix(start).decode(errors="replace"), value


def read_numbers(value: bytes) -> StoredNumbers:
    """Return learned numbers from their record. Raises StateRecordError."""
    try:
        arrays = safetensors.numpy.load(value)
        version, moments = map(int, arrays.pop("record"))
    except (SafetensorError, KeyError, ValueError) as error:
        raise StateRecordError(f"a scorer's record cannot be read ({error})") from None
    check_version(version)
    return StoredNumbers(moments, arrays)


_BYTES = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
_VERSIONED = re.compile(rb'\{"version":(\d{1,9}),"state":(.*)\}', re.DOTALL)
_INDEX = TypeAdapter(IndexState)
_SOURCE = TypeAdapter(tuple[StoredSource], config=_BYTES)  # a tuple passes the configuration on


class StateWriter:
    """Makes the records of one partition index; `is_swapped` as in its IndexState."""

    def __init__(self, topic: str, partition: int, *, is_swapped: bool = False) -> None:
        self._topic = topic
        self._partition = partition
        live, other = _places(is_swapped)
        self._places: dict[Kind, Kind] = {SCORER: live, SHADOW: other, REFERENCE: REFERENCE}

    def index(self, state: IndexState) -> Output:
        """Return the record of what the sources share."""
        return self._output(INDEX_KEY, _versioned(_INDEX.dump_json(state)))

    def source(self, number: int, state: SourceState) -> Output:
        """Return the record of a source, or its tombstone where nothing is remembered."""
        key = f"{SOURCE}{state.source}".encode()
        if state.is_empty:
            return self._output(key, None)
        return self._output(key, _versioned(_SOURCE.dump_json((StoredSource(number, state),))))

    def numbers(self, moments: int, source: str, state: State, kind: Numbers = SCORER) -> Output:
        """Return the record of a source's learned numbers, as they are after `moments`."""
        arrays = {name: np.ascontiguousarray(array) for name, array in state.items()}
        value = safetensors.numpy.save({"record": integers(VERSION, moments), **arrays})
        return self._of(kind, source, value)

    def reference(self, source: str, value: bytes) -> Output:
        """Return the record of what stands for a source's frames."""
        return self._of(REFERENCE, source, value)

    def nothing(self, kind: Kind, source: str) -> Output:
        """Return the tombstone of a record."""
        return self._of(kind, source, None)

    def _of(self, kind: Kind, source: str, value: bytes | None) -> Output:
        return self._output(f"{self._places[kind]}{source}".encode(), value)

    def _output(self, key: bytes, value: bytes | None) -> Output:
        return Output(self._topic, key, value, partition=self._partition)


def _versioned(document: bytes) -> bytes:
    return b'{"version":%d,"state":%b}' % (VERSION, document)


def _read(adapter: TypeAdapter[T], value: bytes) -> T:
    match = _VERSIONED.fullmatch(value)
    if match is None:
        raise StateRecordError("a state record cannot be read (it has no version)")
    check_version(int(match[1]))
    try:
        return adapter.validate_json(match[2])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise StateRecordError(f"a state record cannot be read ({first['msg']})") from None


def check_version(version: int) -> None:
    """Raise StateRecordError for a record of a newer version."""
    if version > VERSION:
        raise StateRecordError(
            f"a state record was written by a newer version (format {version}, this one reads"
            f" {VERSION})"
        )
