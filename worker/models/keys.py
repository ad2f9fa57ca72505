"""Names of what a model makes of media: equal ones mean equal results."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from worker.core.events import MODALITIES, Event, Modality
from worker.models.base import Encoder, SpeechToText
from worker.models.danger import DangerScale
from worker.models.fusion.joining import Joining
from worker.models.watching import Watch

_KEY_BYTES = 20


def key_of(model: str, parts: Iterable[bytes]) -> bytes:
    """Return the key of what the model of a digest makes of these parts."""
    digest = hashlib.blake2b(model.encode(), digest_size=_KEY_BYTES)
    for part in parts:
        digest.update(part)
    return digest.digest()


def parts_of(events: Iterable[Event]) -> Iterator[bytes]:
    """Yield what tells the media of events from others."""
    for event in events:
        yield str(event.content_type).encode()
        yield hashlib.blake2b(event.payload, digest_size=_KEY_BYTES).digest()


def digest_of_all(
    encoders: Mapping[Modality, Encoder],
    joining: Joining,
    watch: Watch,
    speech: SpeechToText | None,
) -> str:
    """Return the SHA-256 (hex) of all that gives features their meaning."""
    digest = hashlib.sha256()
    for modality in MODALITIES:
        digest.update(f"{modality}={encoders[modality].digest};".encode())
    digest.update(f"danger={DangerScale.digest};".encode())
    if joining.digest:
        digest.update(f"bundle={joining.digest};".encode())
    if watch.triggers:
        digest.update(f"triggers={watch.digest};".encode())
    if speech is not None:
        digest.update(f"speech={speech.digest};".encode())
    return digest.hexdigest()
