"""Runs the same job as a user would write it, as a process beside the same Kafka."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.benchmarks.measure import Middle, Run, cpu_seconds_of
from tests.benchmarks.on_kafka import Stage, apart, await_moments, create, observations
from worker.core.events import Modality
from worker.core.moment import Moment
from worker.demo.processes import Process
from worker.pipeline import Pipeline

PLAIN = "kafka-python, torch eager"
QUIX = "Quix Streams, torch eager"
_MODULES = {
    PLAIN: "tests.benchmarks.reference.plain_kafka",
    QUIX: "tests.benchmarks.reference.quix",
}
_READY = re.compile(rb"^ready$", re.MULTILINE)
_LOAD_SECONDS = 120.0
_COMPARED = 64  # frames


def installed() -> tuple[str, ...]:
    """Return the names of the references that can run here."""
    has_quix = importlib.util.find_spec("quixstreams") is not None
    return (PLAIN, QUIX) if has_quix else (PLAIN,)


def run_reference(stage: Stage, name: str, tag: str, bare: Run) -> Run:
    """Let a reference do what `bare` did; `tag` names its group and its outputs."""
    config = apart(stage.config, tag)
    create(config, stage.partitions)
    topics = config.topics
    arguments = (stage.kafka.bootstrap, f"bench-{tag}", topics.observations)
    command = [sys.executable, "-m", _MODULES[name], *arguments]
    command += [topics.frames, topics.captions, topics.audio]
    log = stage.directory / f"{tag}.log"
    with observations(config) as reader, _started(command, log) as process:
        middle = Middle(bare.moments, lambda: cpu_seconds_of(process.pid))
        await_moments(reader, bare.moments, middle)
    wall, cpu = middle.read()
    return replace(bare, wall_seconds=wall, cpu_seconds=cpu)


def least_cosine(pipeline: Pipeline, moments: Sequence[Moment]) -> float:
    """Return the smallest cosine of the worker's vectors of frames to those of the references."""
    from tests.benchmarks.reference.models import Models

    payloads: list[bytes] = []
    vectors = []
    for moment in moments[:: max(1, len(moments) // _COMPARED)]:
        frame = moment.of(Modality.FRAME)[:1]
        prepared = pipeline.prepare(replace(moment, events=frame, carried=None))
        wanted = pipeline.wanted([prepared])[Modality.FRAME]
        payloads += [event.payload for event in frame]
        vectors += [*pipeline.encode(Modality.FRAME, wanted).values()]
    theirs = Models().frames(payloads)
    ours = np.stack(vectors).astype(np.float32)
    cosines = (ours * theirs).sum(axis=1) / np.linalg.norm(ours, axis=1)
    return float(cosines.min())


@contextmanager
def _started(command: list[str], log: Path) -> Iterator[Process]:
    """Yield the process once it says that it is ready."""
    log.write_bytes(b"")
    process = Process(command, log)
    try:
        process.wait_until(
            lambda: bool(_READY.search(log.read_bytes())), _LOAD_SECONDS, "the reference"
        )
        yield process
    finally:
        process.stop()
