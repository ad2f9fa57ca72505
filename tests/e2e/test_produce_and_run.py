"""One's own recording: produced into Kafka for a worker with Redis, watched by Prometheus."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.site import Site, WorkerProcess, mmworker, running, total
from tests.feed.media import write_video
from tests.schemas.files import faults, load_schema
from tests.services.prometheus import prometheus
from tests.services.require import require_program
from worker.adapters.prometheus import RECONCILIATION
from worker.demo.services import LocalKafka, LocalRedis
from worker.demo.tally import Tally

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

SOURCE = "/cameras/kitchen"
SECONDS, FPS = 40, 2
TEXTS = ("A kettle stands on the stove.", "Somebody opens the window.", "The room is empty.")


@dataclass(frozen=True)
class Recording:
    """A worker that has read a recording and waits for more."""

    site: Site
    worker: WorkerProcess
    produced: subprocess.CompletedProcess[str]
    tally: Tally


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Write a video with sound, and captions for it."""
    place = tmp_path_factory.mktemp("media")
    shades = [60 + 40 * (number % 3) for number in range(SECONDS * FPS)]
    video = write_video(place / "kitchen.mp4", shades, fps=FPS, tone_seconds=SECONDS)
    cues = [
        f"{number + 1}\n00:00:{4 * number:02d},000 --> 00:00:{4 * number + 3:02d},000\n"
        f"{TEXTS[number % len(TEXTS)]}\n"
        for number in range(SECONDS // 4)
    ]
    captions = place / "kitchen.srt"
    captions.write_text("\n".join(cues))
    return [video, captions]


@pytest.fixture(scope="module")
def recording(
    kafka_server: LocalKafka,
    redis_server: LocalRedis,
    media: list[Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Recording]:
    directory = tmp_path_factory.mktemp("recording")
    site = Site(kafka_server, directory, {"redis.url": redis_server.url}, partitions=3)
    with running(site) as worker:
        file = directory / "mmworker.yaml"
        options = ("--source", SOURCE, "--speed", 10, "--config", file)
        produced = mmworker("produce", *media, *options)
        sent = int(produced.stdout.split()[0])
        yield Recording(site, worker, produced, worker.await_settled(sent))
        assert worker.terminate() == 0


def test_produce_says_how_much_it_has_sent_and_all_of_it_is_paired(recording: Recording) -> None:
    assert recording.produced.returncode == 0
    sent = sum(recording.site.ends().values())
    assert recording.produced.stdout == f"{sent} events sent\n"
    assert sent >= SECONDS * FPS + SECONDS + SECONDS // 4
    assert recording.tally.outcomes["paired"] == sent


def test_each_second_has_an_observation_with_all_that_belongs_to_it(recording: Recording) -> None:
    schema = load_schema("observation.v1")
    records = recording.site.read(recording.site.config.topics.observations)
    lines = [json.loads(record.value or b"") for record in records]
    assert not [fault for line in lines for fault in faults(line, schema)]
    assert {line["source"] for line in lines} == {SOURCE}
    assert SECONDS <= len(lines) <= SECONDS + 1  # the recording begins within a window
    inputs = Counter(
        (each["modality"], each["id"])
        for line in lines
        for each in line["inputs"]
        if not each.get("carried")
    )
    assert set(inputs.values()) == {1}
    assert sum(inputs.values()) == recording.tally.consumed
    assert sum(1 for line in lines if line["modalities"]["missing"] == []) >= SECONDS - 2


def test_repeated_pictures_and_sentences_come_from_the_cache(recording: Recording) -> None:
    exposition = recording.worker.metrics()
    assert total(exposition, 'mmworker_cache_requests_total{result="near"}') > 0
    assert total(exposition, 'mmworker_cache_requests_total{result="miss"}') > 0  # Redis was asked
    assert total(exposition, 'mmworker_cache_requests_total{result="error"}') == 0
    assert total(exposition, 'mmworker_degraded{component="redis"}') == 0


def test_prometheus_scrapes_the_worker_and_sees_it_reconcile(
    recording: Recording, tmp_path: Path
) -> None:
    require_program("prometheus")
    with prometheus(recording.site.target, tmp_path) as server:
        server.await_up()
        moments = len(recording.site.observations())
        assert server.values("sum(mmworker_moments_total)") == [float(moments)]
        assert server.values(RECONCILIATION) == [float(recording.tally.consumed)]
        assert server.values("count(mmworker_build_info)") == [1.0]


def test_analyze_tells_the_same_recording_without_any_service(
    media: list[Path], tmp_path: Path
) -> None:
    done = mmworker(
        *("analyze", *media, "--output", tmp_path, "--calibration-moments", 20, "--json"),
        environment={"MMWORKER_KAFKA__BOOTSTRAP_SERVERS": "localhost:1"},
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert SECONDS <= summary["moments"] <= SECONDS + 1  # AAC makes the sound a little longer
    assert summary["counts"]["reconciled"] is True
    schema = load_schema("observation.v1")
    lines = (tmp_path / "observations.jsonl").read_text().splitlines()
    assert not [fault for line in lines for fault in faults(json.loads(line), schema)]
    assert any(json.loads(line)["assessment"]["p_value"] is not None for line in lines)
    for name in ("alerts.jsonl", "summary.json", "report.html", "timeline.png"):
        assert (tmp_path / name).exists()
