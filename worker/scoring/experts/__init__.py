"""The experts of a source, and the one contract of all of them (`base`)."""

from worker.scoring.experts.base import MIN_LEARNED, Expert, Features, finite, seen
from worker.scoring.experts.panel import (
    AUDIO_DIM,
    DETAILS,
    FUSED_DIM,
    LEAST_EXCESS,
    VISUAL_DIM,
    VOTE_OF_MODALITY,
    VOTE_VOICES,
    VOTES,
    Voice,
    agreement_feature,
    build_experts,
    least_excess,
    voice_of,
    voters,
)

__all__ = [
    "AUDIO_DIM",
    "DETAILS",
    "FUSED_DIM",
    "LEAST_EXCESS",
    "MIN_LEARNED",
    "VISUAL_DIM",
    "VOTES",
    "VOTE_OF_MODALITY",
    "VOTE_VOICES",
    "Expert",
    "Features",
    "Voice",
    "agreement_feature",
    "build_experts",
    "finite",
    "least_excess",
    "seen",
    "voice_of",
    "voters",
]
