"""One entry for all media: their check and their decoding, by modality."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from worker.core.events import ContentType, Event, Modality
from worker.media.audio import check_audio, decode_audio
from worker.media.images import Picture, check_image, decode_picture
from worker.media.limits import Limits
from worker.media.text import check_text, decode_text

Media = Picture | NDArray[np.float32] | str

_CHECKS: Mapping[Modality, Callable[[bytes, ContentType, Limits], object]] = {
    Modality.FRAME: check_image,
    Modality.CAPTION: check_text,
    Modality.AUDIO: check_audio,
}
_DECODERS: Mapping[Modality, Callable[[bytes, ContentType, Limits], Media]] = {
    Modality.CAPTION: decode_text,
    Modality.AUDIO: decode_audio,
}


def check(event: Event, limits: Limits) -> None:
    """Look at the header of the event's media only. Raises InvalidEventError."""
    _CHECKS[event.modality](event.payload, event.content_type, limits)


def decode(event: Event, limits: Limits, side: int = 224) -> Media:
    """Return a Picture, a text, or float32 mono 16 kHz (N,). Raises InvalidEventError.

    A picture is not reduced below `side` pixels.
    """
    if event.modality is Modality.FRAME:
        return decode_picture(event.payload, event.content_type, limits, side)
    return _DECODERS[event.modality](event.payload, event.content_type, limits)
