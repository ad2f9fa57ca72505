"""Spans over OTLP: what a real exporter sends to a collector on loopback."""

from __future__ import annotations

import gzip
import http.server
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from structlog.testing import capture_logs

from tests.runtime.builders import GatedEncoder, config, encoders, footage
from tests.runtime.test_shard import Desk
from worker.adapters import spans
from worker.adapters.prometheus import Metrics
from worker.adapters.spans import MAX_LINKS, SWITCHES, tracer_from_environment
from worker.core.events import Modality
from worker.core.moment import Moment
from worker.core.tracing import Tracer, Untraced
from worker.models.base import EncoderError
from worker.runtime.assemble import build_pipeline
from worker.runtime.inference import Batch, Inference

PATIENCE = 30.0
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector:
    """Takes what exporters send."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.services: set[str] = set()
        taken = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                taken.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def take(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            named = {each.key: each.value.string_value for each in resource.resource.attributes}
            self.services.add(named["service.name"])
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)

    def received(self, count: int) -> list[Span]:
        deadline = time.monotonic() + PATIENCE
        while len(self.spans) < count:
            assert time.monotonic() < deadline, f"{len(self.spans)} spans have come"
            time.sleep(0.02)
        return self.spans


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    made = Collector()
    monkeypatch.setenv(SWITCHES[0], made.url)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def moments() -> tuple[Moment, ...]:
    desk = Desk()
    desk.read(footage(4))
    return tuple(embedded.moment for embedded in desk.closed())


def attributes(span: Span) -> dict[str, str | int]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def test_a_batch_is_one_span_from_its_submission_until_it_is_embedded(
    collector: Collector,
) -> None:
    batch = Batch("label", moments())
    inference = started(tracer_from_environment())
    inference.submit(batch)
    while not inference.completed(timeout=1):
        pass
    inference.close()
    (span,) = collector.received(1)
    assert collector.services == {"multimodal-worker"}
    assert attributes(span) == {
        "messaging.system": "kafka",
        "messaging.operation.type": "process",
        "messaging.batch.message_count": sum(len(moment.events) for moment in batch.moments),
        "mmworker.moments": len(batch.moments),
    }
    assert span.end_time_unix_nano > span.start_time_unix_nano


def test_a_batch_that_fails_says_so(collector: Collector) -> None:
    class Broken(GatedEncoder):
        def encode(self, batch: Any) -> Any:
            raise EncoderError("not_finite", "no numbers")

    inference = started(tracer_from_environment(), Broken(Modality.FRAME))
    inference.submit(Batch("label", moments()))
    with pytest.raises(EncoderError):
        inference.completed(timeout=PATIENCE)
    inference.close()
    (span,) = collector.received(1)
    assert attributes(span)["error.type"] == "EncoderError"


def test_a_span_is_linked_to_the_traces_of_its_records_and_to_nothing_that_is_none(
    collector: Collector,
) -> None:
    nobody = "00-" + "0" * 32 + "-" + "0" * 16 + "-01"
    tracer_from_environment().batch(1, 2, [TRACEPARENT, nobody]).end()
    (span,) = collector.received(1)
    (link,) = span.links
    assert link.trace_id.hex() == TRACEPARENT.split("-")[1]
    assert link.span_id.hex() == TRACEPARENT.split("-")[2]


def test_the_links_of_a_span_are_bounded(collector: Collector) -> None:
    many = [f"00-{number:032x}-{number:016x}-01" for number in range(1, 500)]
    tracer_from_environment().batch(1, 499, many).end()
    (span,) = collector.received(1)
    assert len(span.links) == MAX_LINKS


def test_without_a_collector_nothing_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SWITCHES:
        monkeypatch.delenv(name, raising=False)
    assert isinstance(tracer_from_environment(), Untraced)


def test_without_the_extra_it_is_said_once_and_the_work_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(SWITCHES[0], "http://127.0.0.1:9")
    monkeypatch.setattr(spans, "find_spec", lambda _: None)
    with capture_logs() as lines:
        assert isinstance(tracer_from_environment(), Untraced)
    assert [line["log_level"] for line in lines] == ["warning"]


def started(tracer: Tracer, frames: GatedEncoder | None = None) -> Inference:
    using = encoders() if frames is None else encoders(frame=frames)
    metrics = Metrics(("frames", "captions", "audio"))
    return Inference(build_pipeline(config(), using), None, metrics, 1, tracer=tracer)
