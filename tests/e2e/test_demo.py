"""`mmworker demo` as users run it: on a real Kafka, and without one with the same results."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.footage import SECOND, long_ago
from tests.e2e.site import mmworker
from tests.schemas.files import faults, load_schema
from worker.core import rfc3339
from worker.demo.services import LocalKafka

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

BACKENDS = ("kafka", "embedded")
SPEED = 5
FILES = ("alerts.jsonl", "observations.jsonl", "summary.json", "timeline.png", "report.html")
LAWN, LAWN_START, LAWN_SECONDS = "/cameras/lawn", 52.5, 3
CAMERAS = 4
QUIET_SECONDS = 45  # in which nothing unusual happens

Document = dict[str, Any]
either = pytest.mark.parametrize("backend", BACKENDS)


@dataclass(frozen=True)
class Demo:
    """One run: how the command ended, and what it wrote."""

    done: subprocess.CompletedProcess[str]
    directory: Path
    start: int

    def lines(self, kind: str) -> list[Document]:
        text = (self.directory / f"{kind}.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    @property
    def summary(self) -> Document:
        summary: Document = json.loads((self.directory / "summary.json").read_text())
        return summary

    def offset(self, time: str) -> float:
        """Return the seconds from the start of the clip."""
        return (rfc3339.parse(time) - self.start) / SECOND


@pytest.fixture(scope="module")
def demos(kafka_server: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Demo]:
    """Play the same scene at the same event time on both backends, side by side."""
    start = long_ago(time.time_ns() // 1000, 600)
    place = tmp_path_factory.mktemp("demo")

    def play(backend: str) -> Demo:
        arguments = ("--backend", backend, "--speed", SPEED, "--start", rfc3339.format(start))
        directory = place / backend
        done = mmworker("demo", "--output", directory, "--json", *arguments, seconds=240)
        return Demo(done, directory, start)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(BACKENDS, pool.map(play, BACKENDS), strict=True))


@either
def test_it_ends_well_and_writes_all_files(demos: dict[str, Demo], backend: str) -> None:
    demo = demos[backend]
    assert demo.done.returncode == 0, demo.done.stderr
    assert json.loads(demo.done.stdout) == demo.summary
    assert demo.summary["backend"].startswith(backend)
    for name in FILES:
        assert (demo.directory / name).stat().st_size > 500


@either
@pytest.mark.parametrize("kind", ["alert", "observation"])
def test_every_line_is_what_the_schemas_say(
    demos: dict[str, Demo], backend: str, kind: str
) -> None:
    schema = load_schema(f"{kind}.v1")
    lines = demos[backend].lines(f"{kind}s")
    assert lines
    for line in lines:
        assert not faults(line, schema)


@either
def test_each_moment_of_each_camera_is_observed_once(demos: dict[str, Demo], backend: str) -> None:
    observed = Counter(
        (line["source"], round(demos[backend].offset(line["window_start"])))
        for line in demos[backend].lines("observations")
    )
    sources = {source for source, _ in observed}
    assert len(sources) == 4
    assert observed == Counter((source, second) for source in sources for second in range(80))


@either
def test_the_people_on_the_lawn_are_found_in_time_by_what_is_seen(
    demos: dict[str, Demo], backend: str
) -> None:
    demo = demos[backend]
    opened = [
        line
        for line in demo.lines("alerts")
        if line["source"] == LAWN and line["type"] == "open" and "visual" in line["reasons"]
    ]
    delays = [demo.offset(line["window_end"]) - LAWN_START for line in opened]
    assert any(0 < delay <= LAWN_SECONDS for delay in delays)


@either
def test_nothing_is_reported_while_nothing_happens_although_it_is_judged(
    demos: dict[str, Demo], backend: str
) -> None:
    demo = demos[backend]
    opened = [line for line in demo.lines("alerts") if line["type"] == "open"]
    assert all(demo.offset(line["window_end"]) > QUIET_SECONDS for line in opened)
    judged = {
        line["source"]
        for line in demo.lines("observations")
        if demo.offset(line["window_end"]) <= QUIET_SECONDS
        and line["assessment"]["p_value"] is not None
        and not line["assessment"]["warming_up"]
    }
    assert len(judged) == 4


@either
def test_the_counts_reconcile(demos: dict[str, Demo], backend: str) -> None:
    counts = demos[backend].summary["counts"]
    assert counts["reconciled"] is True
    assert counts["consumed"] == counts["paired"] > 3000
    assert counts["buffered"] == 0


def test_both_backends_observe_and_decide_the_same(demos: dict[str, Demo]) -> None:
    kafka, embedded = (
        {line["observation_id"]: line for line in demos[backend].lines("observations")}
        for backend in BACKENDS
    )
    assert kafka.keys() == embedded.keys()
    for name, line in kafka.items():
        for part in ("modalities", "features", "raw_scores", "decision"):
            assert line[part] == embedded[name][part]
    p_values = {name: p_value_of(line) for name, line in kafka.items()}
    others = {name: p_value_of(line) for name, line in embedded.items()}
    judged = {name for name in kafka if p_values[name] is not None}
    assert judged == {name for name in kafka if others[name] is not None}
    assert len(judged) > 100
    # Young sources lend each other scores, and which camera was first is up to the log.
    alike = {name for name in judged if lent_to(name, kafka) == lent_to(name, embedded)}
    assert len(alike) >= 0.75 * len(judged)
    for name in alike:
        assert p_values[name] == pytest.approx(others[name], rel=1e-6)


@either
def test_a_replay_of_what_was_observed_decides_as_the_worker_did(
    demos: dict[str, Demo], backend: str, tmp_path: Path
) -> None:
    demo = demos[backend]
    same, none = tmp_path / "same.yaml", tmp_path / "none.yaml"
    same.write_text("scoring: {calibration_moments: 40}")
    none.write_text("scoring: {calibration_moments: 40, false_alarms_per_day: 0}")

    def replayed(other: Path) -> Document:
        options = ("--config", same, "--observations", demo.directory / "observations.jsonl")
        done = mmworker("replay", "--with", other, *options, "--json", seconds=120)
        assert done.returncode == 0, done.stderr
        document: Document = json.loads(done.stdout)
        return document

    opened = sum(line["type"] == "open" for line in demo.lines("alerts"))
    again, off = replayed(same), replayed(none)
    assert again["differing_from_record"] == 0
    assert again["observations"] == len(demo.lines("observations"))
    assert again["counts"] == {"gained": 0, "lost": 0, "moved": 0, "changed": 0, "same": opened}
    assert off["counts"]["lost"] == opened > 0


def test_an_evaluation_of_both_backends_finds_them_alike(
    demos: dict[str, Demo], tmp_path: Path
) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text(
        "source,start,end,kind,modality\n"
        f"{LAWN},{LAWN_START},72.5,people on lawn,frame\n"
        "/cameras/path-west,58,62,lens covered,frame\n"
        "/cameras/road-east,61,64,explosion,audio\n"
    )
    files = [demos[backend].directory / "observations.jsonl" for backend in BACKENDS]
    options = ("--labels", labels, "--output", tmp_path / "out", "--resamples", 20, "--json")
    done = mmworker("evaluate", *files, *options, seconds=120)
    assert done.returncode == 0, done.stderr
    runs = json.loads(done.stdout)["runs"]
    assert [run["name"] for run in runs] == list(BACKENDS)
    assert runs[0]["events_found"] == runs[1]["events_found"] > 0
    aurocs = [run["slices"][0]["auroc"]["value"] for run in runs]
    assert aurocs[0] == pytest.approx(aurocs[1], abs=0.05)


def p_value_of(observation: Document) -> float | None:
    p_value: float | None = observation["assessment"]["p_value"]
    return p_value


def lent_to(name: str, run: dict[str, Document]) -> frozenset[str]:
    """Return the Observations that all sources together had learned from at their last look."""
    last_look = (run[name]["number"] - 1) // CAMERAS * CAMERAS
    return frozenset(other for other, line in run.items() if line["number"] <= last_look)
