"""Dead letters and late events made by hand, and the command line over them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Sequence
from typing import Any

from kafka import KafkaProducer
from typer.testing import CliRunner, Result

from tests.e2e.footage import picture
from tests.e2e.site import Site, mmworker
from worker.adapters.kafka.transactional_sink import TransactionalSink
from worker.cli.app import app
from worker.core.events import Record
from worker.core.messages import capped_value, dead_letter_headers, late_headers
from worker.core.messages.redrive import ATTEMPT
from worker.core.ports import Output
from worker.errors import Reason

KEY = b"/cameras/a"
TEXT = "Zwei Männer gehen.".encode()
HOSTILE = (("x-red", b"[red]a\x1b[31m\n"), ("blob", b"\xff\x00"), ("nothing", None))
Headers = tuple[tuple[str, bytes | None], ...]


def envelope(number: int, kind: str = "frame", content: str = "image/jpeg") -> Headers:
    return (
        ("ce_specversion", b"1.0"),
        ("ce_id", f"{kind}-{number}".encode()),
        ("ce_source", KEY),
        ("ce_type", f"multimodal.{kind}.v1".encode()),
        ("ce_time", b"2026-03-14T09:26:53.000Z"),
        ("content-type", content.encode()),
    )


def dead_letter(
    site: Site,
    number: int = 0,
    reason: Reason = Reason.IMAGE_TOO_LARGE,
    *,
    kind: str = "frame",
    key: bytes | None = KEY,
    value: bytes | None = None,
    more: Headers = (),
    cap: int = 10**6,
    partition: int = 0,
) -> Output:
    """Return what the worker writes for a record that was at `number` of partition 0."""
    sent = picture(number) if value is None else value
    record = Record(site.inputs[kind], 0, number, 0, key, sent, envelope(number, kind) + more)
    kept, digest = capped_value(record.value, cap)
    headers = dead_letter_headers(record, "envelope", reason, f"no luck {number}", "w")
    return Output(site.config.topics.dead_letters, key, kept, headers + digest, partition)


def exhausted(site: Site, number: int) -> Output:
    return dead_letter(site, number, more=((ATTEMPT, b"3"),))


def late_event(site: Site, number: int) -> Output:
    record = Record(site.inputs["audio"], 0, number, 0, KEY, b"sound", envelope(number, "audio"))
    headers = late_headers(record, 0)
    return Output(site.config.topics.late_events, KEY, b"sound", headers, 0)


def commit(site: Site, outputs: Sequence[Output]) -> None:
    """Append in one transaction, as the worker does."""
    with TransactionalSink(site.config.kafka, "writer", max_record_bytes=10**7) as sink:
        sink.append(outputs)


def abort(site: Site) -> None:
    """Leave an aborted record in the dead-letter topic."""
    producer: Any = KafkaProducer(
        bootstrap_servers=site.config.kafka.bootstrap_servers, transactional_id="aborter"
    )
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(site.config.topics.dead_letters, b"aborted", partition=0).get(30)
    producer.abort_transaction()
    producer.close()


def invoke(site: Site, *arguments: object) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, ["dead-letters", *map(str, arguments), *config_of(site)])


def execute(site: Site, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command as a process of its own, without a terminal."""
    return mmworker("dead-letters", *arguments, *config_of(site))


def config_of(site: Site) -> tuple[str, str]:
    return "--config", str(site.directory / "mmworker.yaml")


def rows(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def places(found: Iterable[dict[str, Any]]) -> list[str]:
    return [f"{row['partition']}:{row['offset']}" for row in found]
