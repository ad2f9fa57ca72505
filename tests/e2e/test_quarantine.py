"""A picture over which the decoder aborts the process, among the footage of two cameras."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e import fatal_worker
from tests.e2e.footage import SECOND, by_second, camera, long_ago, picture
from tests.e2e.site import Site, WorkerProcess
from worker.core.caution import TRIES
from worker.core.events import Modality
from worker.demo.services import LocalKafka
from worker.feed.events import FeedEvent

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

SECONDS = 30  # of footage
COMMAND = ("tests.e2e.fatal_worker",)


def test_a_record_that_aborts_the_process_is_quarantined_and_all_others_are_processed(
    kafka_server: LocalKafka, tmp_path: Path
) -> None:
    site = Site(kafka_server, tmp_path, {"kafka.session_timeout_seconds": 6})
    start = long_ago(time.time_ns() // 1000, SECONDS + 30)
    fatal = FeedEvent(
        source="/cameras/gate",
        modality=Modality.FRAME,
        id="fatal",
        time=start + 12 * SECOND + SECOND // 4,
        content_type="image/jpeg",
        payload=picture(3) + fatal_worker.FATAL,
    )
    events = [
        fatal,
        *camera("/cameras/gate", start, SECONDS),
        *camera("/cameras/yard", start, SECONDS),
    ]
    outputs = [site.outputs_of(part) for part in by_second(events)]
    site.send(outputs)

    worker, ended = WorkerProcess(site, COMMAND), 0
    while not _is_done(site, sum(map(len, outputs))):
        if worker.exit_code is not None:
            ended += 1
            assert ended <= TRIES + 2, "the record is not found"
            worker = WorkerProcess(site, COMMAND)
        time.sleep(1)
    exit_code = worker.terminate()

    (letter,) = site.read(site.config.topics.dead_letters)
    headers = {name: (value or b"").decode() for name, value in letter.headers}
    assert headers["ce_id"] == "fatal"
    assert headers["mmworker.error.reason"] == "quarantined"
    assert letter.value == fatal.payload
    seen = Counter(
        (each.topic, each.offset)
        for one in site.observations()
        for each in one.inputs
        if not each.carried
    )
    assert set(seen.values()) == {1}
    assert len(seen) == len(events) - 1
    assert TRIES < ended <= TRIES + 2
    assert exit_code == 0


def _is_done(site: Site, records: int) -> bool:
    seen = [each for one in site.observations() for each in one.inputs if not each.carried]
    return len(seen) + len(site.read(site.config.topics.dead_letters)) >= records
