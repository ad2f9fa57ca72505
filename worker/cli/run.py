"""`mmworker run`: the worker itself."""

from __future__ import annotations

import os
import signal
import threading
import time
import uuid
from importlib.metadata import version

import structlog
import torch

from worker.adapters.kafka.admin import KafkaAdmin
from worker.adapters.kafka.input_log import KafkaInputLog
from worker.adapters.kafka.outbox import KafkaOutbox
from worker.adapters.kafka.topic_checks import check_topics
from worker.adapters.prometheus import Metrics
from worker.adapters.redis_cache import RedisCache
from worker.cli.options import ConfigFile, config_of
from worker.config import Config
from worker.errors import OperatorError
from worker.models.settings import resolve_device
from worker.runtime.assemble import (
    build_encoders,
    build_pipeline,
    decode_threads,
    shard_factory,
    topic_of_modality,
)
from worker.runtime.health import Health
from worker.runtime.http_server import HealthServer
from worker.runtime.inference import Inference
from worker.runtime.logs import configure as configure_logs
from worker.runtime.service import Service
from worker.runtime.worker import Ports

log = structlog.get_logger(__name__)


def run(config: ConfigFile = None) -> None:
    """Read events from Kafka, judge them, write alerts back, until SIGTERM."""
    effective = config_of(config)
    configure_logs(effective.log.level, effective.log.format)
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    serve_until(effective, stop)


def serve_until(config: Config, stop: threading.Event) -> None:
    """Run the worker until `stop` is set. Raises OperatorError or FailedRunError."""
    inputs = tuple(topic_of_modality(config).values())
    metrics = Metrics(inputs)
    health = Health(time.monotonic, config.kafka.max_poll_interval_seconds)
    with HealthServer(config.http.host, config.http.port, health, metrics.render) as server:
        log.info("http", host=config.http.host, port=server.port)
        partitions = _checked_partitions(config, inputs[0])
        service = _service(config, inputs, partitions, metrics, health)
        log.info("started", partitions=partitions, group=config.kafka.group_id)
        service.run(stop)
    log.info("stopped")


def _service(
    config: Config, inputs: tuple[str, ...], partitions: int, metrics: Metrics, health: Health
) -> Service:
    encoders = build_encoders(config)
    device = resolve_device(config.models.device)
    metrics.build(version("multimodal-worker"), _revision(), torch.__version__, device)
    for modality, encoder in encoders.items():
        metrics.model(modality, encoder.name, encoder.digest)
    pipeline = build_pipeline(config, encoders)
    cache = RedisCache.connect(config.redis, metrics) if config.redis.url else None
    health.started()
    return Service(
        open_ports=lambda: _open_ports(config, inputs, metrics),
        open_inference=lambda: Inference(pipeline, cache, metrics, decode_threads(config), device),
        make_shard=shard_factory(config, pipeline, partitions),
        max_buffered_bytes=config.pairing.max_buffered_bytes,
        health=health,
    )


def _open_ports(config: Config, inputs: tuple[str, ...], metrics: Metrics) -> Ports:
    largest = config.limits.max_record_bytes
    transactional_id = f"{config.kafka.group_id}-{uuid.uuid4()}"
    outbox = KafkaOutbox(config.kafka, transactional_id, max_record_bytes=largest)
    return Ports(
        log=KafkaInputLog(config.kafka, inputs, max_record_bytes=largest),
        outbox=outbox,
        telemetry=metrics,
        now=lambda: time.time_ns() // 1000,
    )


def _checked_partitions(config: Config, topic: str) -> int:
    """Return the partition count of the inputs; refuse topics that cannot work."""
    with KafkaAdmin(config.kafka) as admin:
        findings = check_topics(admin, config.topics, config.limits.max_record_bytes)
        for finding in findings:
            if finding.severity == "warning":
                log.warning("topics", finding=finding.sentence)
        errors = [finding.sentence for finding in findings if finding.severity == "error"]
        if errors:
            raise OperatorError("; ".join(errors))
        return admin.describe([topic])[topic].partitions


def _revision() -> str:
    return os.environ.get("MMWORKER_REVISION", "unknown")
