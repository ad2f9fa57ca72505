"""From the configuration to the parts of a worker."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from worker.config import Config, config_hash
from worker.core.checkpoint import Meaning
from worker.core.dead_letter_limit import DeadLetterRules
from worker.core.envelope import EnvelopeRules
from worker.core.events import Modality
from worker.core.pairing_rules import PairingRules
from worker.core.rfc3339 import seconds
from worker.core.triggers import experts
from worker.media.limits import Limits
from worker.models import registry
from worker.models.base import Encoder, SpeechToText
from worker.models.device import resolve_device
from worker.models.keys import digest_of_all
from worker.models.processor import this_processor
from worker.models.settings import ModelSettings
from worker.models.weights import joint_digest
from worker.pipeline import Pipeline
from worker.runtime.compose import Composer, OutputTopics
from worker.runtime.fusions import fusion_of, open_configured, shadow_fusion
from worker.runtime.policies import (
    alert_policies,
    long_wait,
    masks,
    scoring_rules,
    shadow_config,
    shadow_policies,
    triggers,
)
from worker.runtime.recovery import RecoveryRules, ShadowRules
from worker.runtime.relearning import Origin
from worker.runtime.rules import ShardRules, WorkerRules
from worker.runtime.topics import topic_of_modality
from worker.scoring.memory import layout_digest
from worker.scoring.scored import ScoringRules

if TYPE_CHECKING:
    from worker.models.bundles.bundle import Bundle
    from worker.models.fusion.joining import Joining

log = structlog.get_logger(__name__)


def build_encoders(
    config: Config, bundle: Bundle | None = None, *, measures: bool = True
) -> dict[Modality, Encoder]:
    """Load the encoders; the first time on a machine this measures for seconds.

    The configured `bundle` is opened where it is not given. Raises OperatorError for unknown names,
    wrong weights and digests that are not those pinned, and Unmeasured where it is not to measure.
    """
    models = config.models
    if models.dtype == "int8" and not models.int8_network:
        log.warning(
            "models.dtype is int8 and models.int8_network is empty, so frames are encoded as with"
            " auto: make the file with `mmworker models quantise`"
        )
    bundle = bundle or open_configured(config)
    names = {
        Modality.FRAME: (models.frame, models.frame_digest),
        Modality.CAPTION: (models.caption, models.caption_digest),
        Modality.AUDIO: (models.audio, models.audio_digest),
    }
    for modality, (_, pinned) in names.items():
        tuned = None if bundle is None else bundle.tuned_encoder(modality)
        if tuned is not None:
            names[modality] = tuned, pinned
    return {
        modality: registry.build(
            name, modality, replace(model_settings(config, modality), measures=measures), pinned
        )
        for modality, (name, pinned) in names.items()
    }


def model_settings(config: Config, modality: Modality) -> ModelSettings:
    """Return how the encoder of a modality runs; int8 is for frames alone."""
    models = config.models
    is_whole = models.dtype == "int8" and modality is not Modality.FRAME
    own = {
        Modality.FRAME: models.frame_device,
        Modality.CAPTION: models.caption_device,
        Modality.AUDIO: models.audio_device,
    }
    return ModelSettings(
        device=own[modality] or models.device,
        dtype="auto" if is_whole else models.dtype,
        runtime=models.runtime,
        batch_size=models.batch_size,
        threads=models.threads,
        pooling=models.caption_pooling,
        allow_hub=models.allow_hub,
        int8_network=Path(models.int8_network).expanduser() if models.int8_network else None,
    )


def devices(config: Config) -> dict[Modality, str]:
    """Return the kind of device of each encoder, `cpu` or `cuda`. Raises OperatorError."""
    return {
        modality: resolve_device(model_settings(config, modality).device).partition(":")[0]
        for modality in Modality
    }


def build_speech(config: Config) -> SpeechToText | None:
    """Return the configured recogniser of speech, loaded; None where it is off.

    Raises OperatorError.
    """
    models = config.models
    if not models.speech:
        return None
    from worker.models import speech

    return speech.build(models.speech, model_settings(config, Modality.AUDIO), models.speech_digest)


def build_pipeline(
    config: Config,
    encoders: Mapping[Modality, Encoder],
    bundle: Bundle | None = None,
    speech: SpeechToText | None = None,
    shadow: Joining | None = None,
) -> Pipeline:
    """Return the pipeline with the configured limits and bundles. Raises OperatorError.

    The configured `bundle` and that of the `shadow` are opened, and `speech` loaded, where they are
    not given.
    """
    limits = Limits(
        max_pixels=config.limits.max_pixels,
        max_audio_seconds=config.limits.max_audio_seconds,
        max_text_bytes=config.limits.max_text_bytes,
    )
    bundle, seed = bundle or open_configured(config), config.scoring.seed
    return Pipeline(
        encoders,
        limits,
        config.models.frames_per_moment,
        seed,
        triggers(config),
        None if bundle is None else fusion_of(bundle, encoders, seed),
        masks(config),
        speech or build_speech(config),
        reuses=config.models.reuse == "auto",
        stores_embeddings=config.models.store_embeddings,
        shadow=shadow or shadow_fusion(config, encoders),
    )


def decode_threads(config: Config) -> int:
    """Return how many threads decode media: as many as the encoders may use."""
    return config.models.threads or this_processor().cores


def worker_rules(
    config: Config,
    pipeline: Pipeline,
    partitions: int,
    topic_ids: Mapping[str, str],
    *,
    hears: bool = False,
) -> WorkerRules:
    """Return what a worker is set to; the input topics have `partitions` and these ids.

    `hears`: feedback is one of the inputs.
    """
    models = config.models
    topics = OutputTopics(
        alerts=config.topics.alerts,
        observations=config.topics.observations,
        dead_letters=config.topics.dead_letters,
        late_events=config.topics.late_events,
        snapshots=config.topics.snapshots,
    )
    shard = ShardRules(
        envelope=envelope_rules(config, partitions, hears=hears),
        pairing=_pairing(config),
        alerts=alert_policies(config),
        shadow=shadow_policies(config),
        topics=topics,
        max_dead_letter_bytes=config.limits.max_record_bytes,
        worker=f"{socket.gethostname()}-{os.getpid()}",
        meaning=_meaning(config, pipeline, partitions),
        topic_ids=topic_ids,
        max_reference_age=seconds(models.reuse_seconds) if models.reuse == "auto" else 0,
    )
    recovery = RecoveryRules(
        group=config.kafka.group_id,
        snapshots=topics.snapshots,
        observations=topics.observations,
        scoring=_scoring(config, pipeline, pipeline.pairs),
        origin=Origin(pipeline.digest, pipeline.fusion_digest),
        meaning=shard.meaning,
        topic_ids=topic_ids,
        feedback=shard.envelope.feedback_topic,
        shadow=_shadow_rules(config, pipeline),
    )
    composer = Composer(
        topics,
        pipeline.digest,
        config_hash(config),
        config.pairing.window_seconds,
        frames=config.models.frames_per_moment,
        shadow_bundle="" if pipeline.shadow is None else pipeline.shadow.digest,
        quotes=config.scoring.quote_captions,
    )
    limits = config.limits
    return WorkerRules(
        shard=shard,
        composer=composer,
        recovery=recovery,
        max_buffered_bytes=config.pairing.max_buffered_bytes,
        max_resident_bytes=limits.max_resident_bytes,
        long_wait=long_wait(config),
        dead_letters=DeadLetterRules(
            limits.max_dead_letters_in_a_row, limits.max_dead_letter_ratio
        ),
    )


def _meaning(config: Config, pipeline: Pipeline, partitions: int) -> Meaning:
    pairing = config.pairing
    return Meaning(
        window_seconds=pairing.window_seconds,
        grace_seconds=pairing.grace_seconds,
        idle_timeout_seconds=pairing.idle_timeout_seconds,
        carry_caption_seconds=pairing.carry_caption_seconds,
        awaited=",".join(pairing.awaited),
        model=_model(pipeline, pipeline.digest, pipeline.pairs),
        partitions=partitions,
    )


def _model(pipeline: Pipeline, digest: str, pairs: tuple[str, ...]) -> str:
    """Return a digest of what gives learned numbers their meaning: encoders and scorer."""
    watched = experts(pipeline.watch.triggers, pipeline.watch.modalities)
    dim = pipeline.encoders[Modality.CAPTION].dim
    layout = layout_digest(dim, (*pairs, *watched))
    return joint_digest(digest, layout)[:16]


def _scoring(config: Config, pipeline: Pipeline, pairs: tuple[str, ...]) -> ScoringRules:
    dim = pipeline.encoders[Modality.CAPTION].dim
    return scoring_rules(config, dim, pipeline.watch.modalities, pairs)


def _shadow_rules(config: Config, pipeline: Pipeline) -> ShadowRules | None:
    """Return how a bundle in shadow is scored: by the budget of what is tried."""
    tried, shadow = shadow_config(config), pipeline.shadow
    if tried is None or shadow is None:
        return None
    digest = digest_of_all(pipeline.encoders, shadow, pipeline.watch, pipeline.speech)
    model, origin = _model(pipeline, digest, shadow.pairs), Origin(digest, shadow.digest)
    return ShadowRules(_scoring(tried, pipeline, shadow.pairs), model, origin)


def envelope_rules(config: Config, partitions: int, *, hears: bool = False) -> EnvelopeRules:
    """Return what an acceptable record looks like; `hears`: feedback is one of the inputs."""
    return EnvelopeRules(
        modality_of_topic={
            topic: modality for modality, topic in topic_of_modality(config).items()
        },
        partitions=partitions,
        partitioner=config.kafka.partitioner,
        max_record_bytes=config.limits.max_record_bytes,
        max_skew=seconds(config.pairing.max_skew_seconds),
        feedback_topic=config.topics.feedback if hears else None,
    )


def _pairing(config: Config) -> PairingRules:
    pairing = config.pairing
    return PairingRules(
        window=seconds(pairing.window_seconds),
        grace=seconds(pairing.grace_seconds),
        awaited=frozenset(map(Modality, pairing.awaited)),
        idle_timeout=seconds(pairing.idle_timeout_seconds),
        carry_caption=seconds(pairing.carry_caption_seconds),
    )
