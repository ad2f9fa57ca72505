"""Which experts there are, who votes together, and how far harmless changes go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from worker.core.events import PAIRS, Modality
from worker.core.triggers import modality_of
from worker.scoring.experts import reading
from worker.scoring.experts.base import MIN_LEARNED, Expert
from worker.scoring.experts.described import DescribedExpert
from worker.scoring.experts.grid import GridExpert
from worker.scoring.experts.moved import MovedExpert
from worker.scoring.experts.nearest import NearestExpert
from worker.scoring.experts.reading import ReadingExpert
from worker.scoring.experts.vector import GaussianExpert, spectrum

VISUAL_DIM = 64
FUSED_DIM = 64
AUDIO_DIM = 128
CAPTIONS = 320  # in their bank: they are sparse, and no vectors are longer
MIN_CAPTIONS = 2  # captions are sparse, and one neighbour is all that their distance needs


def agreement_feature(pair: str) -> str:
    """Return the name of the feature that tells how well the modalities of a pair agree."""
    return f"agreement_{pair}"


def build_experts(text_dim: int, added: Sequence[str] = ()) -> dict[str, Expert]:
    """Return a source's experts by name; `text_dim` is the caption encoder's dimension.

    `added` are the names of further ones: the PAIRS whose agreement a fitted bundle knows, and
    triggers, which are named as their features are.
    """
    return _usual(text_dim) | {name: _added(name) for name in added}


def _added(name: str) -> Expert:
    if name in PAIRS:
        return ReadingExpert(agreement_feature(name), reading.disagreement)
    return ReadingExpert(name, reading.nearness)


def _usual(text_dim: int) -> dict[str, Expert]:
    return {
        "visual_embedding": GaussianExpert("visual", VISUAL_DIM),
        "visual_grid": GridExpert(),
        "camera_dark": ReadingExpert("luminance", reading.darkness, reading.light),
        "camera_covered": ReadingExpert("luminance", reading.flatness, reading.light),
        "camera_defocused": ReadingExpert("sharpness", reading.blur),
        "camera_moved": MovedExpert(),
        "camera_frozen": ReadingExpert("motion", reading.stillness),
        "audio": NearestExpert("audio_windows", AUDIO_DIM, MIN_LEARNED),
        "audio_spectrum": GaussianExpert("audio_windows", AUDIO_DIM, spectrum),
        "audio_silent": ReadingExpert("audio_windows", reading.silence, spectrum),
        "text": NearestExpert("text", text_dim, MIN_CAPTIONS, CAPTIONS),
        "text_danger": ReadingExpert("text_danger", reading.danger),
        "fused": GaussianExpert("fused", FUSED_DIM),
        "described": DescribedExpert(),
    }


WATCHED = "watched"  # the vote of the experts on triggers, whatever modality they look at
# Who votes together.
VOTES: Mapping[str, tuple[str, ...]] = {
    "visual": (
        "visual_embedding",
        "visual_grid",
        "camera_dark",
        "camera_covered",
        "camera_defocused",
        "camera_moved",
        "camera_frozen",
    ),
    "audio": ("audio", "audio_spectrum", "audio_silent"),
    "text": ("text", "text_danger"),
    "fused": ("fused",),
    "inconsistent": ("described", *PAIRS),
    WATCHED: (),
}


class Voice(NamedTuple):
    """How much a p-value counts beside others: see `worker.scoring.combine.merged`.

    With a steepness above 1 it counts for less while it is moderate and for more when it is tiny:
    right for what gives next to nothing while all is well, and p-values near zero when it speaks.
    """

    weight: float = 1.0
    steepness: float = 1.0


# Hardly anything but its one cause moves such an expert.
ON_ONE_CAUSE = (
    "camera_dark",
    "camera_covered",
    "camera_defocused",
    "camera_frozen",
    "audio_silent",
)
# All were chosen together, on the parts "chosen" and "further" of `make bench-quality`.
STEEP = 1.25
ONE_CAUSE = Voice(0.02, STEEP)  # hardly heard until it is sure
# Within a vote.
EXPERT_VOICES: Mapping[str, Voice] = {
    **dict.fromkeys(ON_ONE_CAUSE, ONE_CAUSE),
    "camera_moved": Voice(0.2),  # its edges also tell things that come into the picture
    "visual_embedding": Voice(0.005, STEEP),  # sees less than the grid, and more of the nuisances
    "text_danger": Voice(0.3, STEEP),
}
BESIDE = 0.1  # the weight of a vote beside that of the picture
VOTE_VOICES: Mapping[str, Voice] = {
    "visual": Voice(),  # what is in the picture is told by p-values that are moderate
    "audio": Voice(BESIDE, STEEP),
    "text": Voice(BESIDE),  # captions are sparse: one is heard again and again while carried
    "fused": Voice(0.05, STEEP),  # untrained fusion sees little that its parts do not
    "inconsistent": Voice(0.25),  # what no other vote sees
    WATCHED: Voice(),  # an operator has asked for it
}
# What the experts on one thing alone tell as a reason.
DETAILS: Mapping[str, str] = {
    "camera_dark": "dark",
    "camera_covered": "covered",
    "camera_defocused": "defocused",
    "camera_moved": "moved",
    "camera_frozen": "frozen",
    "audio_silent": "silent",
    "text_danger": "danger",
    "described": "frame-caption",
    **{pair: pair for pair in PAIRS},
}
VOTE_OF_MODALITY = {Modality.FRAME: "visual", Modality.AUDIO: "audio", Modality.CAPTION: "text"}

# How far harmless changes that a source has not shown yet go on average, in units of the score:
# the tail of its calibration counts as at least that long. Nats, but for correlations.
LEAST_EXCESS: Mapping[str, float] = {
    "camera_dark": 0.15,
    "camera_covered": 0.1,
    "camera_defocused": 0.15,
    "camera_moved": 0.05,
    "camera_frozen": 0.3,
    "audio_silent": 0.4,
    "text_danger": 0.06,
    # the mean excess of a normal distribution over its 90th percentile, in deviations: those of
    # pairs that were held out, for a source may be one that was trained on
    **dict.fromkeys(PAIRS, 0.47),
}
WATCHED_EXCESS = 0.06  # of a caption, as for danger; pictures and sounds are ten times as alike
WATCHED_EXCESS_OF_MEDIA = 0.01


def voters(vote: str, heard: Iterable[str]) -> tuple[str, ...]:
    """Return the experts of a vote that are `heard`."""
    heard = tuple(heard)
    if vote == WATCHED:
        return tuple(each for each in heard if modality_of(each) is not None)
    return tuple(each for each in VOTES[vote] if each in heard)


@lru_cache(maxsize=256)
def modalities_of(expert: str) -> tuple[Modality, ...]:
    """Return the modalities that an expert on one or on a pair of them looks at."""
    if (watched := modality_of(expert)) is not None:
        return (watched,)
    if (pair := PAIRS.get(DETAILS.get(expert, ""))) is not None:
        return pair
    return tuple(each for each, vote in VOTE_OF_MODALITY.items() if expert in VOTES[vote])


def voice_of(expert: str) -> Voice:
    """Return the voice of an expert within its vote; what an operator watches for counts fully."""
    return EXPERT_VOICES.get(expert, Voice())


@lru_cache(maxsize=256)
def least_excess(expert: str) -> float:
    """Return how far harmless changes go at least on average, in units of the expert's score."""
    match modality_of(expert):
        case None:
            return LEAST_EXCESS.get(expert, 0.0)
        case Modality.CAPTION:
            return WATCHED_EXCESS
        case _:
            return WATCHED_EXCESS_OF_MEDIA
