"""How large decoded media may be. (The size of a record is bounded before, in the envelope.)"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds, inclusive: what is equal to a bound is accepted.

    `max_pixels` is width x height, `max_audio_seconds` the length of one clip,
    `max_text_bytes` the size of a caption's payload.
    """

    max_pixels: int = 25_000_000
    max_audio_seconds: float = 60.0
    max_text_bytes: int = 16_384
