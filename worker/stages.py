"""The values between the stages of the pipeline: Moment -> Prepared -> Embedded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from worker.core.events import Modality
from worker.core.moment import Moment
from worker.core.references import NO_CHOICE, Choice, Remembered
from worker.media.frames import Frame
from worker.media.gathering import Rejected

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of content for an encoder, with the key that names it in the cache.

    `content` is uint8 (S, S, 3) RGB, a text, or float32 mono 16 kHz (N,), which for the log-mel
    encoder stand as log-mels (frames, 64). None: it is not to be encoded.
    """

    key: bytes
    content: Any


@dataclass(frozen=True, slots=True)
class Prepared:
    """A Moment with its media decoded; `moment` has no undecodable event left.

    `speech` is the part of its sound in which somebody speaks, where that is looked for. Of the
    `frames` items are made once there is a `choice`.
    """

    moment: Moment
    items: Mapping[Modality, tuple[Item, ...]]
    features: Mapping[str, Array]  # those that need no network
    rejected: tuple[Rejected, ...]
    speech: Item | None = None
    degraded: tuple[str, ...] = ()
    frames: tuple[Frame, ...] = ()
    choice: Choice = NO_CHOICE


@dataclass(frozen=True, slots=True)
class Embedded:
    """A Moment with what scoring looks at. `fused` is a float16 unit vector, (256,) by default.

    `reused` counts the frames that took over an embedding, `remembered` says what may stand for
    later ones of which source, None: nothing any more.
    """

    moment: Moment
    fused: Array
    weights: Mapping[Modality, float]
    features: Mapping[str, Array]
    rejected: tuple[Rejected, ...]
    degraded: tuple[str, ...] = ()  # what did not work
    shadow: Mapping[str, Array] | None = None  # the joint features by a bundle in shadow
    reused: int = 0
    remembered: Mapping[str, Remembered | None] = field(default_factory=dict)
