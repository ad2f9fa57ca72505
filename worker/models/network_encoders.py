"""Encoders that run a network: one class per modality, whatever the network is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from worker.core.events import Modality
from worker.models.base import Embeddings, unit_rows
from worker.models.converted import ConvertedFile
from worker.models.int8 import read_int8
from worker.models.plan import HALVES, Array, Plan, Run
from worker.models.runtimes import Network
from worker.models.samples import typical_clips, typical_frames, typical_texts
from worker.models.settings import ModelSettings
from worker.models.tuning import open_network
from worker.models.weights import joint_digest

if TYPE_CHECKING:
    from torch import nn

Waveform = NDArray[np.float32]
Tokens = NDArray[np.int64]
Tokenize = Callable[[Sequence[str]], tuple[Tokens, Tokens]]  # texts -> ids and mask, each (B, T)
Listen = Callable[[Waveform], tuple[Array, ...]]  # one clip -> inputs of the network, batch of 1
Build = Callable[[], "nn.Module"]  # makes the network, with its weights


@dataclass(frozen=True, slots=True)
class Identity:
    """The name in the registry, and the digest of weights and preprocessing."""

    name: str
    digest: str

    def run_by(self, settings: ModelSettings) -> str:
        """Return the digest of the vectors: a dtype or int8 that was asked for is part of it.

        Such a choice is taken whatever its cosine, so its vectors do not mix with others.
        """
        lossy = settings.dtype in HALVES or settings.runtime == "int8"
        if not lossy:
            return self.digest
        return joint_digest(self.digest, f"{settings.runtime} {settings.dtype}")


class FrameEncoder:
    """uint8 RGB (B, side, side, 3) -> float16 unit vectors (B, dim). `plan`: how it runs here.

    `network` makes its network anew: to keep one would hold the weights a second time.
    `float_digest` is its digest whatever the dtype.
    """

    modality = Modality.FRAME

    def __init__(
        self, identity: Identity, build: Build, input_size: int, settings: ModelSettings
    ) -> None:
        self.name, self.float_digest = identity.name, identity.digest
        self.input_size = input_size
        int8 = None
        if settings.dtype == "int8" and settings.int8_network is not None:
            int8 = read_int8(settings.int8_network, identity.name, identity.digest)
        elif settings.dtype == "int8":
            settings = replace(settings, dtype="auto")
        if settings.runtime == "int8":  # its layers take the scale of all that is in a batch
            settings = one_by_one(settings)
        self.digest = identity.run_by(settings) if int8 is None else int8.digest
        self.network = partial(
            Network,
            build,
            lambda: (typical_frames(32, input_size),),
            ConvertedFile.of(settings, identity.digest),
            None if int8 is None else int8.model,
        )
        self.plan, self._run = open_network(self.network(), settings, self.digest)
        self.dim = self._run(np.zeros((1, input_size, input_size, 3), np.uint8)).shape[1]

    def encode(self, batch: NDArray[np.uint8]) -> Embeddings:
        """Return the unit vectors. Raises ValueError for another shape or dtype."""
        side = self.input_size
        if batch.shape[1:] != (side, side, 3) or batch.dtype != np.uint8:
            raise ValueError(f"frames are uint8 (B, {side}, {side}, 3), not {batch.shape}")
        if not len(batch):
            return np.zeros((0, self.dim), np.float16)
        return unit_rows(self._run.in_batches((batch,), self.plan.batch_size), self.name)


class TextEncoder:
    """Texts -> float16 unit vectors (B, dim). The network takes ids and mask, each (B, T)."""

    modality = Modality.CAPTION
    input_size = 0

    def __init__(
        self, identity: Identity, build: Build, tokenize: Tokenize, settings: ModelSettings
    ) -> None:
        self.name, self.digest = identity.name, identity.run_by(settings)
        self._tokenize = tokenize
        self.plan, self._run = _open(
            identity, build, lambda: tokenize(typical_texts(8)), one_by_one(settings)
        )
        self.dim = self._run(*tokenize(typical_texts(1)[:1])).shape[1]

    def encode(self, batch: Sequence[str]) -> Embeddings:
        """Encode each text by itself: what it shares a batch with would tell in its last bits."""
        vectors = np.zeros((len(batch), self.dim), np.float32)
        for place, text in enumerate(batch):
            vectors[place] = self._run(*self._tokenize([text]))[0]
        return unit_rows(vectors, self.name)


class ClipEncoder:
    """float32 mono 16 kHz clips, each (N,), N >= 1 -> float16 unit vectors (B, dim)."""

    modality = Modality.AUDIO
    input_size = 0

    def __init__(
        self, identity: Identity, build: Build, listen: Listen, settings: ModelSettings
    ) -> None:
        self.name, self.digest = identity.name, identity.run_by(settings)
        self._listen = listen
        self.plan, self._run = _open(identity, build, self._sample, one_by_one(settings))
        self.dim = self._run(*listen(typical_clips(1)[0])).shape[1]

    def encode(self, batch: Sequence[Waveform]) -> Embeddings:
        """Encode each clip by itself, at its own length. Raises ValueError for one without any."""
        vectors = np.zeros((len(batch), self.dim), np.float32)
        for place, clip in enumerate(batch):
            if clip.ndim != 1 or not len(clip):
                raise ValueError("a waveform is one-dimensional and has samples")
            vectors[place] = self._run(*self._listen(clip))[0]
        return unit_rows(vectors, self.name)

    def _sample(self) -> tuple[Array, ...]:
        inputs = zip(*(self._listen(clip) for clip in typical_clips(8)), strict=True)
        return tuple(np.concatenate(column) for column in inputs)


def one_by_one(settings: ModelSettings) -> ModelSettings:
    """Return the settings for items that come singly, of any length."""
    return replace(settings, batch_size=1)


def _open(
    identity: Identity,
    build: Build,
    sample: Callable[[], tuple[Array, ...]],
    settings: ModelSettings,
) -> tuple[Plan, Run]:
    """Return the plan for this machine, and the network started by it."""
    network = Network(build, sample, ConvertedFile.of(settings, identity.digest))
    return open_network(network, settings, identity.run_by(settings))
