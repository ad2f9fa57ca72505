"""Wires a service from the configuration: encoders, cache, Kafka, the state machines."""

from __future__ import annotations

import os
import time
import uuid
from importlib.metadata import version

import torch

from worker.adapters.kafka.input_log import KafkaInputLog
from worker.adapters.kafka.outbox import KafkaOutbox
from worker.adapters.kafka.topic_checks import inputs
from worker.adapters.prometheus import Metrics
from worker.adapters.redis_cache import RedisCache
from worker.config import Config
from worker.models.settings import resolve_device
from worker.runtime.assemble import (
    build_encoders,
    build_pipeline,
    decode_threads,
    shard_factory,
)
from worker.runtime.health import Health
from worker.runtime.inference import Inference
from worker.runtime.service import Service
from worker.runtime.worker import Ports


def build_service(config: Config, partitions: int, metrics: Metrics, health: Health) -> Service:
    """Load the encoders and return the service; the inputs have `partitions`.

    Raises OperatorError.
    """
    encoders = build_encoders(config)
    device = resolve_device(config.models.device)
    metrics.build(version("multimodal-worker"), _revision(), torch.__version__, device)
    for modality, encoder in encoders.items():
        metrics.model(modality, encoder.name, encoder.digest)
    pipeline = build_pipeline(config, encoders)
    cache = RedisCache.connect(config.redis, metrics) if config.redis.url else None
    health.started()
    return Service(
        open_ports=lambda: _open_ports(config, metrics),
        open_inference=lambda: Inference(pipeline, cache, metrics, decode_threads(config), device),
        make_shard=shard_factory(config, pipeline, partitions),
        max_buffered_bytes=config.pairing.max_buffered_bytes,
        health=health,
    )


def _open_ports(config: Config, metrics: Metrics) -> Ports:
    largest = config.limits.max_record_bytes
    transactional_id = f"{config.kafka.group_id}-{uuid.uuid4()}"
    outbox = KafkaOutbox(config.kafka, transactional_id, max_record_bytes=largest)
    try:
        log = KafkaInputLog(config.kafka, inputs(config.topics))
    except BaseException:
        outbox.close(timeout=0)
        raise
    return Ports(log, outbox, metrics, now=lambda: time.time_ns() // 1000)


def _revision() -> str:
    return os.environ.get("MMWORKER_REVISION", "unknown")
