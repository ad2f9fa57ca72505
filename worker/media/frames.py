"""A frame in two steps: how it looks, from its luminance; what an encoder takes of it, if asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from worker.core.events import Event
from worker.core.masks import Area
from worker.core.reuse import Glimpse, Look
from worker.media.images import Picture, Pixels, decode_image, resize_square, thumbnail
from worker.media.limits import Limits
from worker.media.masking import masked
from worker.media.sharpness import sharpness

SAMPLED = (48, 64)  # rows and columns of the single pixels that a look keeps, at most


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame that can be decoded.

    `grey` is its luminance (H, W), where it was decoded and not looked at in full yet; `content`
    (S, S, 3), RGB, is what an encoder takes of it, where that takes no decoding of its own.
    """

    event: Event
    areas: Sequence[Area]
    glimpse: Glimpse
    grey: Pixels | None = None
    content: Pixels | None = None

    def encodable(self, limits: Limits, side: int) -> Pixels:
        """Return the content (side, side, 3), decoded if need be. Raises InvalidEventError."""
        if self.content is not None:
            return self.content
        event = self.event
        colours = decode_image(event.payload, event.content_type, limits, side)
        return resize_square(masked(colours, self.areas), side)


def frame_of(event: Event, picture: Picture, areas: Sequence[Area], key: bytes, side: int) -> Frame:
    """Return a frame from its picture, of which areas are masked. `key` names its content."""
    grey, content = masked(picture.grey, areas), picture.colours
    if content is not None:
        content = resize_square(masked(content, areas), side)
    return Frame(event, areas, Glimpse(key, event.time, _look(grey, areas)), grey, content)


def sharpened(frames: Sequence[Frame]) -> list[Frame]:
    """Return the frames of a Moment with the sharpness of the middle one, which speaks for all."""
    middle = frames[len(frames) // 2].glimpse
    look, key = middle.look, middle.key
    grey = next((f.grey for f in frames if f.glimpse.key == key and f.grey is not None), None)
    if look.sharpness is None and grey is not None:
        found = sharpness(grey)
        look = replace(look, sharpness=np.zeros(0, np.float32) if found is None else found)
    glimpses = (
        replace(each.glimpse, look=look) if each.glimpse.key == key else each.glimpse
        for each in frames
    )
    return [
        replace(each, glimpse=glimpse, grey=None)
        for each, glimpse in zip(frames, glimpses, strict=True)
    ]


def _look(grey: Pixels, areas: Sequence[Area]) -> Look:
    (height, width), (rows, columns) = grey.shape, SAMPLED
    down, right = -(-height // rows), -(-width // columns)
    return Look(
        kind=np.array([(0, 0, width, height), *areas], np.float64).tobytes(),
        cells=thumbnail(grey),
        pixels=np.ascontiguousarray(grey[down // 2 :: down, right // 2 :: right]),
    )
