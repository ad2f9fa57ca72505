"""What is learned from: the inputs of each modality, Moment by Moment, and what is held out."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from worker.core.events import MODALITIES, Modality
from worker.core.messages import Observation
from worker.core.rfc3339 import MICROSECONDS
from worker.errors import OperatorError
from worker.models.bundles.inputs import SOURCES, read_input

MIN_MOMENTS = 16  # with two modalities or more
UNLABELLED = -1
NORMAL = "normal"
BLOCKS = 10  # of a source's Moments, in order of time; neighbours are alike, so whole blocks of
HELD_OUT = (4, 9)  # them are held out
MIN_HELD_OUT = 0.1  # of all, else single ones are


@dataclass(frozen=True, slots=True)
class Row:
    """What is kept of an Observation; times in microseconds since the epoch."""

    source: str
    start: int
    end: int
    inputs: Mapping[str, NDArray[Any]]  # by feature, of any of SOURCES
    events: tuple[tuple[Modality, str], ...] = ()  # what makes each unique in its source

    @classmethod
    def of(cls, one: Observation) -> Row:
        """Keep what a modality can be read from."""
        names = (name for sources in SOURCES.values() for name in sources)
        read = {name: read_input(one.features, name) for name in names}
        found = {name: value for name, value in read.items() if value is not None}
        events = tuple((each.modality, each.id) for each in one.inputs)
        return cls(one.source, one.window_start, one.window_end, found, events)


@dataclass(frozen=True, slots=True)
class Dataset:
    """N Moments. `z` holds (N, D_m) per modality, `present` (N, M) which rows of it count.

    `source` (N,) are numbers, `time` (N,) seconds, `label` (N,) places in `classes` or UNLABELLED,
    `held_out` (N,) whether a row is kept from training.
    """

    features: Mapping[Modality, str]
    z: Mapping[Modality, torch.Tensor]
    present: torch.Tensor
    source: torch.Tensor
    time: torch.Tensor
    label: torch.Tensor
    held_out: torch.Tensor
    classes: tuple[str, ...]
    sources: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.present)

    @property
    def dims(self) -> dict[Modality, int]:
        """The length of the vectors by modality."""
        return {modality: rows.shape[1] for modality, rows in self.z.items()}

    @property
    def has_labels(self) -> bool:
        """Whether anything is labelled."""
        return bool((self.label != UNLABELLED).any())

    def rows(self, places: torch.Tensor) -> Dataset:
        """Return some of the Moments."""
        return Dataset(
            features=self.features,
            z={modality: rows[places] for modality, rows in self.z.items()},
            present=self.present[places],
            source=self.source[places],
            time=self.time[places],
            label=self.label[places],
            held_out=self.held_out[places],
            classes=self.classes,
            sources=self.sources,
        )

    def digest(self) -> str:
        """Return the SHA-256 (hex) over all that is learned from."""
        digest = hashlib.sha256(repr((self.classes, sorted(self.features.items()))).encode())
        for tensor in (*self.z.values(), self.present, self.source, self.time, self.label):
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()


def read_rows(
    observations: Iterable[Observation], seconds: float | None = None
) -> tuple[list[Row], str]:
    """Return the rows in order of time, and the one digest of the encoders that made them.

    They may come in any order. Those that amend others are left out, and with `seconds` those that
    begin so long after the first one. Raises OperatorError where there are none, or where several
    encoders have made them.
    """
    rows: list[Row] = []
    models: Counter[str] = Counter()
    for one in observations:
        if one.amends is None:
            models[one.model] += 1
            rows.append(Row.of(one))
    if not rows:
        raise OperatorError("there are no Observations to learn from: the stream is empty.")
    if len(models) > 1:
        counts = ", ".join(f"{model[:12]} {count}" for model, count in models.most_common(3))
        raise OperatorError(
            f"the Observations were made by different models ({counts}): give those of one."
        )
    rows.sort(key=lambda row: (row.start, row.source))
    end = math.inf if seconds is None else rows[0].start + seconds * MICROSECONDS
    return [row for row in rows if row.start < end], next(iter(models))


def assemble(rows: Sequence[Row], labels: Sequence[str | None] | None = None) -> Dataset:
    """Return the data set of rows in order of time, each with its label (None: not known).

    Raises OperatorError where there is too little to learn from.
    """
    labels = labels or [None] * len(rows)
    features = _chosen(rows)
    present = np.array([[name in row.inputs for name in features.values()] for row in rows])
    together = int((present.sum(axis=1) >= 2).sum())
    if together < MIN_MOMENTS:
        raise OperatorError(
            f"only {together} Moments have two modalities or more: at least {MIN_MOMENTS} are"
            " needed to learn how modalities belong together."
        )
    names = sorted({row.source for row in rows})
    classes = _classes(labels)
    return Dataset(
        features=features,
        z={modality: _stacked(rows, name) for modality, name in features.items()},
        present=torch.from_numpy(present),
        source=torch.tensor([names.index(row.source) for row in rows]),
        time=torch.tensor([row.start / 1e6 for row in rows], dtype=torch.float64),
        label=torch.tensor([UNLABELLED if x is None else classes.index(x) for x in labels]),
        held_out=torch.from_numpy(_held_out(rows)),
        classes=classes,
        sources=tuple(names),
    )


def _chosen(rows: Sequence[Row]) -> dict[Modality, str]:
    """Return for each modality that occurs the feature that most rows have, the best first."""
    counts = Counter(name for row in rows for name in row.inputs)
    found = {}
    for modality in MODALITIES:
        best = max(SOURCES[modality], key=lambda name: counts[name])
        if counts[best]:
            found[modality] = best
    return found


def _stacked(rows: Sequence[Row], feature: str) -> torch.Tensor:
    """Return (N, D); zeros where a row has no such feature."""
    shapes = {row.inputs[feature].shape for row in rows if feature in row.inputs}
    if len(shapes) > 1:
        raise OperatorError(f"the {feature} of the Observations are of different lengths.")
    empty = np.zeros(shapes.pop(), np.float32)
    return torch.from_numpy(np.stack([row.inputs.get(feature, empty) for row in rows]))


def _classes(labels: Sequence[str | None]) -> tuple[str, ...]:
    kinds = {label for label in labels if label is not None}
    if not kinds:
        return (NORMAL, "unusual")
    if len(kinds) == 1:
        raise OperatorError(
            f"all labelled Moments are {kinds.pop()!r}: with one class alone there is nothing to"
            " tell apart; label others too, or leave --labels away."
        )
    return (NORMAL, *sorted(kinds - {NORMAL}))


def _held_out(rows: Sequence[Row]) -> NDArray[np.bool_]:
    """Return (N,): two whole blocks of each source's Moments."""
    by_source: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        by_source.setdefault(row.source, []).append(place)
    held = np.zeros(len(rows), bool)
    for places in by_source.values():
        for order, place in enumerate(places):
            held[place] = order * BLOCKS // len(places) in HELD_OUT
    if held.mean() < MIN_HELD_OUT:  # sources of a few Moments each: every fifth one, by time
        held = np.arange(len(rows)) % 5 == 4
    return held
