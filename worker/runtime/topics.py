"""Which topics a worker reads, by modality, and which it writes."""

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


def output_topics(config: Config) -> tuple[str, ...]:
    """Return the names of the four topics that a worker writes."""
    topics = config.topics
    return (topics.observations, topics.alerts, topics.dead_letters, topics.late_events)
