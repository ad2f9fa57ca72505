"""The sections about what the worker does: pairing, models, scoring, limits.

Durations are in seconds, sizes in bytes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from worker.config.alerting import Neighbours, ShadowSettings, SourceSettings, TriggerSettings
from worker.config.base import DAY, MIB, AutoCount, Section

ModalityName = Literal["frame", "caption", "audio"]
_MODALITY_ORDER: tuple[ModalityName, ...] = ("frame", "caption", "audio")

EncoderName = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}(:[^\x00-\x1f]{1,1000})?$",
        examples=["minilm or transformers:/models/clip"],
    ),
]
SpeechName = Annotated[
    str,
    Field(
        pattern=r"^(transformers:[^\x00-\x1f]{1,1000})?$",
        examples=["transformers:/models/whisper"],
    ),
]
_DEVICE = "(auto|cpu|cuda(:[0-9]{1,2})?)"
OwnDevice = Annotated[
    str, Field(pattern=rf"^{_DEVICE}?$", examples=["auto, cpu, cuda, cuda:1 or nothing"])
]
Digest = Annotated[
    str, Field(pattern=r"^([0-9a-f]{8,64})?$", examples=["8 to 64 hexadecimal digits"])
]


class PairingSettings(Section):
    """How events become Moments; times are event times."""

    window_seconds: float = Field(default=1, ge=0.01, le=3600, description="length of a window")
    grace_seconds: float = Field(
        default=2, ge=0, le=3600, description="how much later events may come"
    )
    awaited: tuple[ModalityName, ...] = Field(
        default=("frame", "audio"),
        alias="await",
        min_length=1,
        description="modalities that a window waits for; with `caption` captions are paired"
        " strictly",
    )
    idle_timeout_seconds: float = Field(
        default=10, ge=0.1, le=DAY, description="silence after which a source is not waited for"
    )
    carry_caption_seconds: float = Field(
        default=5, ge=0, le=3600, description="oldest age at which a caption speaks for a window"
    )
    max_buffered_bytes: int = Field(
        default=256 * MIB,
        ge=MIB,
        le=1024 * 1024 * MIB,
        description="media that may wait for their window",
    )
    max_skew_seconds: float = Field(
        default=10,
        ge=0,
        le=DAY,
        description="how far an event time may be ahead of its append time",
    )

    @field_validator("awaited")
    @classmethod
    def _in_order(cls, awaited: tuple[ModalityName, ...]) -> tuple[ModalityName, ...]:
        """A set in the order of every table, so that equal meanings are equal values."""
        return tuple(modality for modality in _MODALITY_ORDER if modality in awaited)


class ModelSettings(Section):
    """The encoders and where they run."""

    frame: EncoderName = Field(default="efficientnet_lite0", description="encoder of video frames")
    caption: EncoderName = Field(default="minilm", description="encoder of captions")
    audio: EncoderName = Field(default="logmel", description="encoder of audio clips")
    bundle: str = Field(
        default="", max_length=4096, description="directory of a fitted bundle; empty: as shipped"
    )
    bundle_digest: Digest = Field(
        default="", description="what the digest of the bundle must begin with"
    )
    store_embeddings: bool = Field(
        default=False,
        description="whether Observations keep the embeddings of frames and audio, for `fit`",
    )
    device: Annotated[
        str, Field(pattern=rf"^{_DEVICE}$", examples=["auto, cpu, cuda or cuda:1"])
    ] = Field(
        default="auto", description="`auto` (CUDA where there is one), `cpu`, `cuda` or `cuda:1`"
    )
    frame_device: OwnDevice = Field(default="", description="of the frame encoder, if another")
    caption_device: OwnDevice = Field(default="", description="of the caption encoder, if another")
    audio_device: OwnDevice = Field(default="", description="of the audio encoder, if another")
    frame_digest: Digest = Field(
        default="", description="what the digest of the frame encoder must begin with"
    )
    caption_digest: Digest = Field(
        default="", description="what the digest of the caption encoder must begin with"
    )
    audio_digest: Digest = Field(
        default="", description="what the digest of the audio encoder must begin with"
    )
    speech: SpeechName = Field(
        default="",
        description="what turns speech in audio into captions, `transformers:DIRECTORY` of a"
        " Whisper model; empty: off. What is said is then stored in Observations",
    )
    speech_digest: Digest = Field(
        default="", description="what the digest of the speech recogniser must begin with"
    )
    caption_pooling: Literal["auto", "mean", "last", "first"] = Field(
        default="auto",
        description="from token vectors to one of a caption: `auto` (a shared space's own, else"
        " `mean`), `mean`, `last` or `first`",
    )
    allow_hub: bool = Field(
        default=False, description="whether `transformers:ORG/NAME` may be fetched at start"
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16", "int8"] = Field(
        default="auto",
        description="`auto` (measured at start), `float32`, `bfloat16`, `float16` or `int8` (frames"
        " by `models.int8_network`, the others as with `auto`)",
    )
    int8_network: str = Field(
        default="",
        max_length=4096,
        description="file of the frame encoder in int8, the same for all workers of a group"
        " (`mmworker models quantise`)",
    )
    runtime: Literal["auto", "torch", "compiled", "graphs", "openvino", "int8"] = Field(
        default="auto",
        description="`auto` (measured at start: `torch` or `openvino`), `compiled`"
        " (torch.compile), `graphs` (CUDA graphs) or `int8` (dynamic, linear layers, CPU)",
    )
    batch_size: AutoCount = Field(
        default=None,
        description="items per run of an encoder, 1..1024, or `auto` (measured at start)",
    )
    threads: AutoCount = Field(
        default=None,
        description="CPU threads of an encoder, 1..1024, or `auto` (measured at start)",
    )
    frames_per_moment: int = Field(
        default=4,
        ge=1,
        le=64,
        description="frames of a Moment that are encoded at most, evenly spread",
    )
    reuse: Literal["auto", "off"] = Field(
        default="auto",
        description="whether a frame that differs from the last one that was encoded by faint noise"
        " at most is spared the encoder (`auto`) or every one is encoded (`off`)",
    )
    reuse_seconds: float = Field(
        default=10,
        ge=0,
        le=3600,
        description="how long a frame may stand for later ones of its source, by event times; 0:"
        " for those of its Moment",
    )
    overload: Literal["auto", "off"] = Field(
        default="auto",
        description="what to do where records come faster than they can be judged: `auto` (step by"
        " step fewer frames of each Moment, then no sound, captions to the last; flagged) or `off`"
        " (the delay grows)",
    )


class ScoringSettings(Section):
    """When a Moment is unusual."""

    false_alarms_per_day: float = Field(
        default=2, ge=0, le=DAY, description="false-alarm budget of one source; 0: no alerts"
    )
    false_discovery_rate: float = Field(
        default=0,
        ge=0,
        le=0.99,
        description="share of false ones that is allowed for among the alerts of a partition's"
        " sources, on top of their budgets; 0: not controlled",
    )
    calibration_moments: int = Field(
        default=200, ge=20, le=100_000, description="Moments of a source before it is scored"
    )
    cooldown_seconds: float = Field(
        default=30, ge=0, le=DAY, description="quiet time of a source after an alert has closed"
    )
    seed: int = Field(
        default=0, ge=0, le=2**32 - 1, description="seed of all that is drawn at random"
    )
    sources: tuple[SourceSettings, ...] = Field(
        default=(),
        max_length=1000,
        description="what is otherwise for some sources; the first entry that matches one holds",
    )
    triggers: tuple[TriggerSettings, ...] = Field(
        default=(),
        max_length=64,
        description="watch phrases `{name, text, severity, match}`, in an alert `trigger:NAME`",
    )

    shadow: ShadowSettings = Field(
        default=ShadowSettings(),
        description="what is to be tried `{false_alarms_per_day, false_discovery_rate,"
        " cooldown_seconds, sources, bundle, bundle_digest}`: Observations have what it would"
        " decide, and nothing is alerted",
    )
    quote_captions: bool = Field(
        default=True,
        description="whether what is unusual is explained with the words of its caption, in"
        " Observations and alerts",
    )
    neighbours: tuple[Neighbours, ...] = Field(
        default=(),
        max_length=1000,
        description="groups of sources `[[/cameras/gate*, /cameras/yard], ..]` whose simultaneous"
        " alerts share an `incident_id`",
    )
    incident_seconds: float = Field(
        default=30,
        ge=0,
        le=DAY,
        description="how far apart the alerts of neighbours begin that are one incident",
    )

    @field_validator("triggers")
    @classmethod
    def _names_once(cls, triggers: tuple[TriggerSettings, ...]) -> tuple[TriggerSettings, ...]:
        names = [each.name for each in triggers]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"must have different names, and {twice} stands twice")
        return triggers


class LimitSettings(Section):
    """What untrusted media and dead letters may come to, and the worker's own size."""

    max_record_bytes: int = Field(
        default=8 * MIB, ge=1024, le=1024 * MIB, description="of a record"
    )
    max_pixels: int = Field(
        default=25_000_000, ge=1024, le=1_000_000_000, description="width x height of an image"
    )
    max_audio_seconds: float = Field(
        default=60, ge=0.1, le=3600, description="length of an audio clip"
    )
    max_text_bytes: int = Field(default=16_384, ge=16, le=MIB, description="of a caption, UTF-8")
    max_dead_letters_in_a_row: int = Field(
        default=0, ge=0, le=1_000_000, description="at so many the worker stops; 0: never"
    )
    max_dead_letter_ratio: float = Field(
        default=0.95,
        ge=0,
        le=1,
        description="share of the last 1000 records, the worst source left out, at which the worker"
        " stops; 0: never",
    )
    near_cache_bytes: int = Field(
        default=16 * MIB,
        ge=0,
        le=16 * 1024 * MIB,
        description="embeddings that the process itself remembers, in front of Redis; 0: none",
    )
    max_resident_bytes: int = Field(
        default=2048 * MIB,
        ge=0,
        le=1024 * 1024 * MIB,
        description="resident memory of the worker, at which it reads no more; 0: not watched",
    )
