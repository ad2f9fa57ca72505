"""One's own recording: produced into Kafka for a worker with Redis, watched by Prometheus."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.site import Site, WorkerProcess, mmworker, running, total
from tests.feed.media import write_video
from tests.schemas.files import faults, load_schema
from tests.services.require import require_program
from worker.adapters.prometheus import RECONCILIATION
from worker.demo.processes import Process, free_ports, listening
from worker.demo.services import LocalKafka, LocalRedis
from worker.demo.tally import Tally

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

SOURCE = "/cameras/kitchen"
SECONDS, FPS = 40, 2
TEXTS = ("A kettle stands on the stove.", "Somebody opens the window.", "The room is empty.")
SCRAPES_SECONDS = 30.0


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
    assert total(exposition, 'mmworker_cache_requests_total{result="hit"}') > 0
    assert total(exposition, 'mmworker_cache_requests_total{result="error"}') == 0
    assert total(exposition, 'mmworker_degraded{component="redis"}') == 0


def test_prometheus_scrapes_the_worker_and_sees_it_reconcile(
    recording: Recording, tmp_path: Path
) -> None:
    require_program("prometheus")
    with prometheus(recording.site, tmp_path) as url:
        deadline = time.monotonic() + SCRAPES_SECONDS
        while not value_of(url, "up{job='mmworker'} == 1"):
            assert time.monotonic() < deadline, "Prometheus has not scraped the worker"
            time.sleep(0.2)
        moments = len(recording.site.observations())
        assert value_of(url, "sum(mmworker_moments_total)") == [float(moments)]
        assert value_of(url, RECONCILIATION) == [float(recording.tally.consumed)]
        assert value_of(url, "count(mmworker_build_info)") == [1.0]


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


@contextmanager
def prometheus(site: Site, directory: Path) -> Iterator[str]:
    """Run a Prometheus that scrapes the site's worker every half second; yields its address."""
    (port,) = free_ports(1)
    target = f"{site.config.http.host}:{site.config.http.port}"
    job = {"job_name": "mmworker", "static_configs": [{"targets": [target]}]}
    intervals = {"scrape_interval": "500ms", "scrape_timeout": "500ms"}
    file = directory / "prometheus.yml"
    file.write_text(yaml.safe_dump({"global": intervals, "scrape_configs": [job]}))
    options = {
        "config.file": file,
        "storage.tsdb.path": directory / "data",
        "web.listen-address": f"127.0.0.1:{port}",
    }
    command = ["prometheus", *(f"--{name}={value}" for name, value in options.items())]
    process = Process(command, directory / "prometheus.log")
    try:
        process.wait_until(lambda: listening(port), SCRAPES_SECONDS, "Prometheus")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.stop()


def value_of(url: str, expression: str) -> list[float]:
    """Return what an expression is now; empty where it is false or unknown."""
    query = urllib.parse.urlencode({"query": expression})
    try:
        with urllib.request.urlopen(f"{url}/api/v1/query?{query}", timeout=5) as answer:
            document: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code != 503:  # it is still starting
            raise
        return []
    return [float(series["value"][1]) for series in document["data"]["result"]]
