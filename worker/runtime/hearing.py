"""Lets Moments hear what was said in them: each content is recognised once, then remembered.

A text from the cache is taken only with the checksum that it was put away with, so that a faulty
cache costs time and changes nothing.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from worker.core.events import Modality
from worker.core.ports import EmbeddingCache, Telemetry
from worker.models.base import SpeechToText
from worker.pipeline import Pipeline
from worker.stages import Prepared

_CHECKSUM_BYTES = 16

log = structlog.get_logger(__name__)


class Hearing:
    """Recognises speech between decoding and encoding. To be called by one thread at a time."""

    def __init__(
        self, pipeline: Pipeline, cache: EmbeddingCache | None, telemetry: Telemetry
    ) -> None:
        self._pipeline = pipeline
        self._cache = cache
        self._telemetry = telemetry

    def heard(self, prepared: Sequence[Prepared]) -> Sequence[Prepared]:
        """Return the Moments, those with speech with what was said in them.

        Where the recogniser fails the Moment goes on without, and is marked as such.
        """
        speech = self._pipeline.speech
        if speech is None:
            return prepared
        began = time.monotonic()
        clips = {each.speech.key: each.speech.content for each in prepared if each.speech}
        known = self._remembered(list(clips))
        fresh = {key: _recognised(speech, clips[key]) for key in clips if key not in known}
        self._remember(fresh)
        if clips:
            self._telemetry.stage("recognise", time.monotonic() - began)
        return [self._heard(each, known | fresh) for each in prepared]

    def _heard(self, prepared: Prepared, texts: Mapping[bytes, str | None]) -> Prepared:
        if prepared.speech is None:
            if Modality.AUDIO in prepared.items:
                self._telemetry.speech("none")
            return prepared
        text = texts[prepared.speech.key]
        self._telemetry.speech("failed" if text is None else "text" if text else "empty")
        return self._pipeline.hear(prepared, text)

    def _remembered(self, keys: list[bytes]) -> dict[bytes, str]:
        if self._cache is None or not keys:
            return {}
        values = zip(keys, self._cache.get_many(keys), strict=True)
        found = {key: unpacked(key, value) for key, value in values if value is not None}
        return {key: text for key, text in found.items() if text is not None}

    def _remember(self, texts: Mapping[bytes, str | None]) -> None:
        known = {key: packed(key, text) for key, text in texts.items() if text is not None}
        if self._cache is not None and known:
            self._cache.put_many(known)


def _recognised(speech: SpeechToText, clip: Any) -> str | None:
    """Return what is said; None where that cannot be found out."""
    try:
        return speech.text(clip)
    except Exception as error:  # of torch, the tokenizer or the library between them
        log.warning("speech_not_recognised", error=type(error).__name__)
        return None


def packed(key: bytes, text: str) -> bytes:
    """Return the value under which the cache keeps a text.

    >>> unpacked(b"key", packed(b"key", "help")), unpacked(b"another", packed(b"key", "help"))
    ('help', None)
    """
    content = text.encode()
    return _checksum(key, content) + content


def unpacked(key: bytes, value: bytes) -> str | None:
    """Return the text in a value; None where it is not what was put away under the key."""
    checksum, content = value[:_CHECKSUM_BYTES], value[_CHECKSUM_BYTES:]
    return content.decode() if checksum == _checksum(key, content) else None


def _checksum(key: bytes, content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_CHECKSUM_BYTES, key=key).digest()
