"""Which frames show nothing that one before does not show, and take its embedding over.

A frame is compared with the last one that was encoded: in its Moment, or before it, the source's
reference. What becomes of the reference follows from the source's Moments in their order, so a
successor that knows the reference of the last one decides as the worker before it did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.core.rfc3339 import seconds

Array = NDArray[Any]

# In levels of 255, on cells that are the mean of a few dozen pixels each.
LIGHT = 0.5  # mean difference: more is a change of light
NOISE = 1.0  # within which nine tenths of the cells of two pictures of one scene differ
PEAK = 3.0  # what any cell may differ by: more is an object
# Mean difference of single pixels to the contrast of the picture: up to here the embeddings of two
# pictures have a cosine of at least 0.99; above it noise is part of what a source usually shows.
RELATIVE_NOISE = 0.015

STANDS = -1  # the place of the reference, before all frames of a Moment
MAX_UNUSED = 7  # references in a row that stood for nothing; more are not told apart


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A picture as the rule sees it, and as the experts do.

    `kind` is of its size and of what is masked: others are not compared. `cells` (h, w) are the
    luminance of its cells, `pixels` (H, W) that of some single ones, uint8. `sharpness` is (1,),
    (0,) where it has none, and None where nobody has asked for it.
    """

    kind: bytes
    cells: Array
    pixels: Array
    sharpness: Array | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Glimpse:
    """A frame that may be encoded. `key` names its content; `time` is in microseconds."""

    key: bytes
    time: int
    look: Look


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What stands for the frames of a source that differ from it by noise.

    `frame` is None while it pauses; `since` is the event time at which that began, or the frame's.
    `unused` counts the references in a row, this one with them, that have stood for nothing yet.
    `turn` counts those that were set of all sources.
    """

    frame: Glimpse | None
    since: int
    unused: int
    turn: int

    @property
    def resumes(self) -> int:
        """The event time from which there may be another one: the less use, the longer."""
        pause = 0 if self.unused < 2 else 2 ** (self.unused - 1)
        return self.since + seconds(pause)


def shown_before(
    frames: Sequence[Glimpse], reference: Reference | None = None, max_age: int = 0
) -> tuple[int, ...]:
    """Return for each frame the place of the one whose embedding stands for it.

    That is its own place, that of the last earlier one that was not spared itself, or STANDS. None
    stands for what is more than `max_age` microseconds away; 0: in a Moment any does, and outside
    of it none.

    >>> dark, light = (Look(b"", np.full((4, 4), n, np.uint8), np.eye(4)) for n in (9, 10))
    >>> shown_before([Glimpse(bytes([n]), n, look) for n, look in enumerate((dark, dark, light))])
    (0, 0, 2)
    """
    places: list[int] = []
    for place, frame in enumerate(frames):
        last = places[-1] if places else STANDS
        if last == STANDS:
            is_spared = reference is not None and _stands(reference, frame, max_age)
        else:
            is_young = not max_age or abs(frame.time - frames[last].time) <= max_age
            is_spared = is_young and differ_by_noise(frames[last].look, frame.look)
        places.append(last if is_spared else place)
    return tuple(places)


def following(
    reference: Reference | None, frames: Sequence[Glimpse], places: Sequence[int], turn: int
) -> Reference | None:
    """Return what stands for the source's next frames; `reference` itself where nothing changed.

    A source whose references are of no use has none for ever longer, up to a minute.
    """
    if not places:
        return reference
    if places[-1] == STANDS and reference is not None:
        return reference if not reference.unused else replace(reference, unused=0)
    last = frames[places[-1]]
    if reference is None:
        return Reference(last, last.time, 1, turn)
    if last.time < reference.since:
        return reference
    unused = 0 if STANDS in places else reference.unused
    given_up = replace(reference, frame=None, since=last.time, unused=unused, turn=turn)
    if reference.frame is None:
        given_up = reference
    if last.time < given_up.resumes:
        return given_up
    return Reference(last, last.time, min(unused + 1, MAX_UNUSED), turn)


def differ_by_noise(one: Look, other: Look) -> bool:
    """Tell whether two pictures differ in nothing but faint noise. Of other kinds they do not."""
    if one.kind != other.kind or one.pixels.shape != other.pixels.shape:
        return False
    difference = _difference(one.cells, other.cells)
    distance = np.abs(difference)
    return (
        abs(float(difference.mean())) <= LIGHT
        and float(distance.max()) <= PEAK
        and float(np.mean(distance <= NOISE)) >= 0.9
        and _relative_noise(one.pixels, other.pixels) <= RELATIVE_NOISE
    )


def _stands(reference: Reference, frame: Glimpse, max_age: int) -> bool:
    """Tell whether the reference stands for a frame: of equal content it does at any age."""
    shown = reference.frame
    if shown is None:
        return False
    is_young = 0 <= frame.time - shown.time <= max_age
    return shown.key == frame.key or (is_young and differ_by_noise(shown.look, frame.look))


def _relative_noise(one: Array, other: Array) -> float:
    return float(np.abs(_difference(one, other)).mean()) / max(float(one.std()), 1.0)


def _difference(one: Array, other: Array) -> NDArray[np.int16]:
    difference: NDArray[np.int16] = one.astype(np.int16) - other
    return difference
