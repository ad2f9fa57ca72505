"""Plays the plaza scene through a worker, writes the results and judges them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console

from worker.cli.options import Backend
from worker.cli.progress import bar
from worker.config import Config
from worker.core.rfc3339 import MICROSECONDS, seconds
from worker.demo import embedded, kafka_run, scene, terminal
from worker.demo.results import Played, Story, write_results
from worker.demo.scene import Scene
from worker.demo.services import kafka_available
from worker.demo.tally import Tally
from worker.errors import FailedRunError, OperatorError
from worker.feed.events import FeedEvent
from worker.report.model import LabelOutcome, LabelSpan
from worker.runtime.assemble import build_encoders

PARTITIONS = 1  # a young source borrows its neighbours' calibration, partition by partition
LAWN_EVENT = "people_on_lawn"
LAWN_SECONDS = 3.0  # within which it has to be found


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the caller asked for. `start` is in microseconds since the epoch."""

    backend: Backend
    speed: float
    inject: bool
    start: int | None
    as_json: bool


@dataclass(frozen=True, slots=True)
class Stage:
    """What is played and where. `start` is the time of the first picture, epoch microseconds."""

    config: Config
    output: Path
    plaza: Scene
    start: int
    inject: bool
    speed: float
    console: Console

    def events(self) -> Iterator[FeedEvent]:
        """Play the scene, each time anew."""
        return scene.events(self.plaza, self.start, inject=self.inject)

    @contextmanager
    def bar(self) -> Iterator[Callable[[int], None]]:
        """Show progress; yields a function that takes the event time reached."""
        with bar(self.console, "Playing", self.plaza.video.duration_s) as advance:
            yield lambda time: advance((time - self.start) / MICROSECONDS)


def run_demo(config: Config, output: Path, wishes: Wishes) -> None:
    """Play, write and judge. Raises OperatorError, or FailedRunError where a promise is broken."""
    plaza = scene.load()
    console = Console(stderr=True)
    start = _start(plaza, config, wishes.start)
    chosen, why = _choose(wishes.backend)
    console.print(f"Backend: {chosen} ({why})")
    stage = Stage(config, output, plaza, start, wishes.inject, wishes.speed, console)
    played = _on_kafka(stage) if chosen == "kafka" else _embedded(stage)
    story = Story(
        title=plaza.title,
        subtitle="Real footage of a campus plaza, read as four cameras with captions and sound.",
        backend=f"{chosen}: {why}",
        labels=_labels(stage),
        events=stage.events,
        now=time.time_ns() // 1000,
    )
    results = write_results(output, config, played, story)
    if wishes.as_json:
        sys.stdout.write((output / "summary.json").read_text(encoding="utf-8"))
    else:
        terminal.show(results, output, played.wall_seconds, Console())
    judge(results.tally, results.report.outcomes)


def _choose(backend: Backend) -> tuple[Literal["kafka", "embedded"], str]:
    if backend != "auto":
        return backend, "as asked for"
    available, why = kafka_available()
    if available:
        return "kafka", "a real Apache Kafka can be started here"
    return "embedded", why


def _start(plaza: Scene, config: Config, wanted: int | None) -> int:
    """Return a start in the past, on the edge of a window, unless another one is wanted."""
    latest = time.time_ns() // 1000 - seconds(plaza.video.duration_s + 5)
    if wanted is None:
        return latest - latest % seconds(config.pairing.window_seconds)
    if wanted > latest:
        raise OperatorError("--start: give a time at least 85 s ago, so that all of it has passed.")
    return wanted


def _on_kafka(stage: Stage) -> Played:
    say = stage.console.print
    with (
        kafka_run.services(stage.config, stage.output, PARTITIONS, say) as reached,
        stage.bar() as progress,
    ):
        return kafka_run.play(reached, stage.output, stage.events(), stage.speed, progress, say)


def _embedded(stage: Stage) -> Played:
    waiting = "Loading the encoders (the first time they are measured for seconds)"
    with stage.console.status(waiting):
        encoders = build_encoders(stage.config)
    with stage.bar() as progress:
        return embedded.play(
            stage.config, encoders, stage.events(), partitions=PARTITIONS, progress=progress
        )


def _labels(stage: Stage) -> dict[str, tuple[LabelSpan, ...]]:
    sources = {camera.id: camera.source for camera in stage.plaza.cameras}
    labels: dict[str, tuple[LabelSpan, ...]] = dict.fromkeys(sources.values(), ())
    for label in stage.plaza.labels:
        if label.natural or stage.inject:
            span = LabelSpan(
                start=stage.start + seconds(label.start_s),
                end=stage.start + seconds(label.end_s),
                kind=label.kind,
                modality=label.modality,
                natural=label.natural,
                note=label.note,
            )
            labels[sources[label.camera]] += (span,)
    return labels


def judge(tally: Tally, outcomes: Iterable[LabelOutcome]) -> None:
    """Raise FailedRunError where records are unaccounted for or the real event is not found.

    Found means: within LAWN_SECONDS, and for what is seen.
    """
    if not tally.reconciles:
        raise FailedRunError("The counts do not reconcile: events are unaccounted for.")
    if not any(_is_found(outcome) for outcome in outcomes if outcome.kind == LAWN_EVENT):
        raise FailedRunError(
            f"The people on the lawn were not found within {LAWN_SECONDS:g} s for what is seen."
        )


def _is_found(outcome: LabelOutcome) -> bool:
    seconds_taken = outcome.seconds_to_detect
    in_time = seconds_taken is not None and seconds_taken <= LAWN_SECONDS
    return in_time and outcome.right_reason is True
