"""Renders streams and encodes them once; the features stay on disk, by all that they depend on."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.benchmarks.quality.material import Array
from tests.benchmarks.quality.stream import Stream
from worker.core.events import Modality
from worker.pipeline import Pipeline
from worker.stages import Embedded, Prepared

BATCH = 32  # Moments
_EMBEDDED = ("visual", "fused")  # what comes from the frame encoder
_ROOT = Path(__file__).parents[3]
_RENDERING = ["captions", "incidents", "material", "pictures", "scenes", "sounds", "stream"]
_SOURCES = (
    *(f"tests/benchmarks/quality/{name}.py" for name in _RENDERING),
    "worker/pipeline.py",
    "worker/media/*.py",
)


@dataclass(frozen=True, slots=True)
class Encoded:
    """The features of each Moment of a stream, stacked by name; `carried` tells of its caption."""

    stream: Stream
    arrays: dict[str, Array]
    carried: Array

    def __len__(self) -> int:
        return len(self.carried)

    def at(self, number: int) -> dict[str, Array]:
        """Return the features of one Moment."""
        return {name: array[number] for name, array in self.arrays.items()}


class FeatureStore:
    """A directory of encoded streams."""

    def __init__(
        self, directory: Path, pipeline: Pipeline, *, frames: bool = True, rendering: str = ""
    ) -> None:
        """With `frames` False the frame encoder, most of the work, is not run.

        `rendering` names a further module that has a part in how streams look.
        """
        self._directory = directory
        self._pipeline = pipeline
        self._frames = frames
        more = (f"tests/benchmarks/quality/{rendering}.py",) if rendering else ()
        self._version = f"{_digest_of((*_SOURCES, *more))}{pipeline.digest}{frames}"
        directory.mkdir(parents=True, exist_ok=True)

    def has(self, stream: Stream) -> bool:
        """Tell whether it need not be rendered."""
        return self._path(stream).exists()

    def encoded(self, stream: Stream) -> Encoded:
        """Return a stream's features, rendered and encoded where nobody did before."""
        path = self._path(stream)
        if not path.exists():
            arrays = stacked(self._moments(stream))
            if not self._frames:
                arrays = {name: array for name, array in arrays.items() if name not in _EMBEDDED}
            aside = path.with_suffix(".part.npz")
            np.savez(aside, allow_pickle=False, **arrays)
            aside.replace(path)
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in stored.files}
        return Encoded(stream, arrays, arrays.pop("carried"))

    def _path(self, stream: Stream) -> Path:
        drawn = f"{stream.scene}{stream.seed}{stream.incidents}{stream.length}{stream.noise}"
        identity = f"{drawn}{self._version}"
        return self._directory / f"{hashlib.sha256(identity.encode()).hexdigest()[:24]}.npz"

    def _moments(self, stream: Stream) -> Iterator[Embedded]:
        prepared = (self._pipeline.prepare(moment) for moment in stream.moments())
        for batch in batches(prepared):
            yield from self._pipeline.fuse(batch, self._vectors(batch))

    def _vectors(self, batch: Sequence[Prepared]) -> dict[bytes, Array]:
        """Encode one frame of each Moment for all of its frames, to be done within minutes."""
        chosen = [prepared.items[Modality.FRAME] for prepared in batch]
        wanted = self._pipeline.wanted(batch)
        wanted[Modality.FRAME] = {items[0].key: items[0].content for items in chosen}
        vectors: dict[bytes, Array] = {}
        if not self._frames:
            dim = self._pipeline.encoders[Modality.FRAME].dim
            vectors = dict.fromkeys(wanted.pop(Modality.FRAME), np.ones(dim, np.float16))
        for modality, contents in wanted.items():
            vectors |= self._pipeline.encode(modality, contents)
        return vectors | {item.key: vectors[items[0].key] for items in chosen for item in items}


def stacked(moments: Iterable[Embedded]) -> dict[str, Array]:
    """Return the features of a stream's Moments by name, and `carried`."""
    embedded = list(moments)
    names = embedded[0].features
    arrays = {name: np.stack([each.features[name] for each in embedded]) for name in names}
    carried = [bool(each.moment.carried_modalities) for each in embedded]
    return {**arrays, "carried": np.array(carried)}


def batches(prepared: Iterator[Prepared]) -> Iterator[list[Prepared]]:
    """Yield BATCH Moments at a time."""
    while batch := list(itertools.islice(prepared, BATCH)):
        yield batch


def _digest_of(patterns: Iterable[str]) -> str:
    files = sorted(path for pattern in patterns for path in _ROOT.glob(pattern))
    contents = b"".join(path.read_bytes() for path in files)
    return hashlib.sha256(contents).hexdigest()[:16]
