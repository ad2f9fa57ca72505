"""`mmworker run`: the worker itself."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import structlog
import typer

from worker.adapters.kafka.admin import KafkaAdmin, TopicInfo
from worker.adapters.kafka.membership import check_alike
from worker.adapters.kafka.topic_checks import check_topics, inputs
from worker.adapters.prometheus import Metrics
from worker.cli.options import ConfigFile, config_of
from worker.config import Config
from worker.errors import FailedRunError, OperatorError
from worker.runtime.drain import Drained
from worker.runtime.health import Health
from worker.runtime.http_server import HealthServer
from worker.runtime.logs import configure as configure_logs

# After which a thread that computes lets another one have the interpreter. With the usual 5 ms the
# poll loop, which needs it a hundred times for a batch, waits for decoders most of the time.
SWITCH_SECONDS = 0.001

log = structlog.get_logger(__name__)


def run(
    config: ConfigFile = None,
    drain: Annotated[
        bool,
        typer.Option(
            "--drain",
            help="Judge what the topics hold now, close all that is open, and end: before a change"
            " of settings. Stop all other workers first.",
        ),
    ] = False,
) -> None:
    """Read events from Kafka, judge them, write alerts back, until SIGTERM."""
    effective = config_of(config)
    configure_logs(effective.log.level, effective.log.format)
    stop = threading.Event()
    sys.setswitchinterval(SWITCH_SECONDS)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    drained = serve_until(effective, stop, drains=drain)
    if drain:
        if drained is None:
            raise FailedRunError("stopped before all was drained: run it again")
        typer.echo(_told(drained))


def serve_until(config: Config, stop: threading.Event, *, drains: bool = False) -> Drained | None:
    """Run the worker until `stop` is set or all is drained. Raises OperatorError, FailedRunError.

    Probes are answered from the start on; encoders are loaded once Kafka is known to be fine.
    """
    metrics = Metrics((*inputs(config.topics), config.topics.feedback))
    health = Health(time.monotonic, config.kafka.max_poll_interval_seconds)
    with HealthServer(config.http.host, config.http.port, health, metrics.render):
        topics = _checked_topics(config)
        with _no_garbage():
            from worker.cli.service import build_service

            service = build_service(config, topics, metrics, health, drains=drains)
        partitions = topics[config.topics.frames].partitions
        log.info("started", partitions=partitions, group=config.kafka.group_id)
        drained = service.run(stop)
    log.info("stopped")
    return drained


def _told(drained: Drained) -> str:
    indices = ", ".join(map(str, drained.indices)) or "none"
    return f"Drained: {drained.moments} open Moments closed; partitions here: {indices}"


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Let the garbage collector pass over what is made meanwhile, now and later.

    Modules and models stay to the end; to look through their half a million objects again and
    again costs a second at start, and pauses afterwards.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _checked_topics(config: Config) -> dict[str, TopicInfo]:
    """Return the topics to be read; refuse topics, and a group, that cannot work."""
    with KafkaAdmin(config.kafka) as admin:
        findings = check_topics(admin, config.topics, config.limits.max_record_bytes)
        errors = [finding.sentence for finding in findings if finding.severity == "error"]
        if errors:
            raise OperatorError("; ".join(errors))
        for finding in findings:
            log.warning("topics", finding=finding.sentence)
        group, own = config.kafka.group_id, config.kafka.group_instance_id
        check_alike(group, admin.members(group), own)
        return admin.describe((*inputs(config.topics), config.topics.feedback))
