"""Spans by OpenTelemetry over OTLP, where its own environment variables name a collector.

The names follow OpenTelemetry's conventions for messaging, which are still in development: they are
in this module only.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING

import structlog

from worker.core.tracing import BatchSpan, Tracer, Untraced

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Link, Span

SWITCHES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
EXPORT_SECONDS = 3.0  # retries included: a collector that is away must not hold up the end
MAX_LINKS = 128  # of a span, OpenTelemetry's own limit
NAME = "process moments"
SYSTEM, OPERATION, COUNT = (
    "messaging.system",
    "messaging.operation.type",
    "messaging.batch.message_count",
)
MOMENTS, ERROR = "mmworker.moments", "error.type"

_log = structlog.get_logger(__name__)


def tracer_from_environment() -> Tracer:
    """Return what reports spans; without a collector in the environment it reports nothing."""
    if not any(os.environ.get(name) for name in SWITCHES):
        return Untraced()
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        _log.warning("no traces: the extra is missing", install="multimodal-worker[tracing]")
        return Untraced()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - an extra
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - an extra

    named = {"service.name": os.environ.get("OTEL_SERVICE_NAME") or "multimodal-worker"}
    provider = TracerProvider(resource=Resource.create(named))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=EXPORT_SECONDS)))
    return OpenTelemetryTracer(provider)


class OpenTelemetryTracer:
    """Implements worker.core.tracing.Tracer. The provider sends spans from a thread of its own."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("multimodal-worker", version("multimodal-worker"))

    def batch(self, moments: int, records: int, traceparents: Iterable[str]) -> BatchSpan:
        """Begin a span that is linked to the traces of the batch's records."""
        attributes: dict[str, str | int] = {
            SYSTEM: "kafka",
            OPERATION: "process",
            COUNT: records,
            MOMENTS: moments,
        }
        span = self._tracer.start_span(NAME, attributes=attributes, links=_links(traceparents))
        return _BatchSpan(span)


class _BatchSpan:
    def __init__(self, span: Span) -> None:
        self._span = span

    def end(self, failure: str | None = None) -> None:
        if failure is not None:
            self._span.set_attribute(ERROR, failure)
        self._span.end()


def _links(traceparents: Iterable[str]) -> list[Link]:
    """Return links to valid contexts; their form was checked where headers are read."""
    from opentelemetry.trace import Link, SpanContext, TraceFlags  # noqa: PLC0415 - an extra

    links = []
    for traceparent in sorted(traceparents)[:MAX_LINKS]:
        _, trace, span, flags = traceparent.split("-")
        context = SpanContext(
            trace_id=int(trace, 16),
            span_id=int(span, 16),
            is_remote=True,
            trace_flags=TraceFlags(int(flags, 16)),
        )
        if context.is_valid:
            links.append(Link(context))
    return links
