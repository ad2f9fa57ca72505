"""Which topic carries which modality."""

from __future__ import annotations

from worker.config import Config
from worker.core.events import Modality


def topic_of_modality(config: Config) -> dict[Modality, str]:
    """Return the names of the three input topics."""
    topics = config.topics
    return {
        Modality.FRAME: topics.frames,
        Modality.CAPTION: topics.captions,
        Modality.AUDIO: topics.audio,
    }
