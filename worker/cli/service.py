"""Wires a service from the configuration: encoders, cache, Kafka, the state machines."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from importlib.metadata import version

import structlog

from worker.adapters.kafka.admin import TopicInfo
from worker.adapters.kafka.fencing import transactional_prefix
from worker.adapters.kafka.input_log import KafkaInputLog
from worker.adapters.kafka.outbox import KafkaOutbox
from worker.adapters.kafka.state_log import KafkaStateLog
from worker.adapters.kafka.topic_checks import read_topics
from worker.adapters.near_cache import NearCache
from worker.adapters.process_memory import LinuxMemory
from worker.adapters.prometheus import Metrics
from worker.adapters.redis_cache import RedisCache
from worker.adapters.spans import tracer_from_environment
from worker.cli.measuring import measured_encoders
from worker.config import Config
from worker.core.ports import EmbeddingCache, Telemetry
from worker.runtime.assemble import (
    build_pipeline,
    build_speech,
    decode_threads,
    devices,
    worker_rules,
)
from worker.runtime.clock import steady_clock
from worker.runtime.fusions import open_configured, open_shadow, shadow_fusion
from worker.runtime.health import Health
from worker.runtime.inference import Inference
from worker.runtime.service import Service
from worker.runtime.topics import output_topics
from worker.runtime.worker import Ports

log = structlog.get_logger(__name__)


def build_service(
    config: Config,
    topics: Mapping[str, TopicInfo],
    metrics: Metrics,
    health: Health,
    *,
    drains: bool = False,
) -> Service:
    """Load the encoders and return the service; `topics` are the inputs as they are.

    Raises OperatorError.
    """
    bundle, tried = open_configured(config), open_shadow(config)
    encoders = measured_encoders(config, bundle)
    used = devices(config)
    kinds = ",".join(sorted(set(used.values())))
    metrics.build(version("multimodal-worker"), _revision(), version("torch"), kinds)
    metrics.limits(config.scoring.false_alarms_per_day, config.pairing.max_buffered_bytes)
    for modality, encoder in encoders.items():
        metrics.model(modality, encoder.name, encoder.digest)
        log.info("encoder", modality=modality, encoder=encoder.name, digest=encoder.digest)
    speech = build_speech(config)
    if speech is not None:
        metrics.model("speech", speech.name, speech.digest)
        log.info("speech", model=speech.name, digest=speech.digest)
    shadow = shadow_fusion(config, encoders, tried)
    pipeline = build_pipeline(config, encoders, bundle, speech, shadow)
    if shadow is not None:
        log.info("a bundle in shadow", digest=shadow.digest)
    cache = open_cache(config, metrics)
    tracer = tracer_from_environment()
    health.started()
    return Service(
        open_ports=lambda: open_ports(config, metrics, read_topics(config.topics, topics), topics),
        open_inference=lambda: Inference(
            pipeline, cache, metrics, decode_threads(config), used, tracer
        ),
        rules=worker_rules(
            config,
            pipeline,
            topics[config.topics.frames].partitions,
            {name: topic.id for name, topic in topics.items()},
            hears=config.topics.feedback in topics,
        ),
        health=health,
        drains=drains,
    )


def open_cache(config: Config, telemetry: Telemetry) -> EmbeddingCache | None:
    """Return what remembers embeddings: in the process, in Redis, both or neither.

    Raises OperatorError where the password's file cannot be read.
    """
    shared = RedisCache.connect(config.redis, telemetry) if config.redis.url else None
    near = config.limits.near_cache_bytes
    return NearCache(near, telemetry, shared) if near else shared


def open_ports(
    config: Config,
    metrics: Metrics,
    topics: Sequence[str],
    known: Mapping[str, TopicInfo] | None = None,
) -> Ports:
    """Connect to Kafka as a worker does that reads these topics. Raises OperatorError.

    `known` are the topics as they were when the process started.
    """
    largest = config.limits.max_record_bytes
    transactional_id = f"{transactional_prefix(config.kafka.group_id)}{uuid.uuid4()}"
    with ExitStack() as opened:
        outbox = KafkaOutbox(
            config.kafka,
            transactional_id,
            topics=(*output_topics(config), config.topics.snapshots),
            max_record_bytes=largest,
            on_published=lambda taken: metrics.stage("publish", taken),
        )
        opened.callback(outbox.close, timeout=0)
        state = KafkaStateLog(config.kafka)
        opened.callback(state.close)
        log = KafkaInputLog(config.kafka, topics, known=known)
        opened.pop_all()
    return Ports(
        log=log,
        state=state,
        outbox=outbox,
        telemetry=metrics,
        now=steady_clock(),
        background=ThreadPoolExecutor(1, thread_name_prefix="recovery"),
        memory=LinuxMemory(),
    )


def _revision() -> str:
    return os.environ.get("MMWORKER_REVISION", "unknown")
