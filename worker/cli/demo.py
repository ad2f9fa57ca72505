"""`mmworker demo`: a real scene through the whole worker, judged against its labels."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from worker.cli.options import AsJson, config_of
from worker.cli.progress import bar
from worker.config import Config
from worker.core.rfc3339 import MICROSECONDS, seconds
from worker.demo import embedded, kafka_run, scene, terminal
from worker.demo.results import Played, Results, Story, prepare_directory, write_results
from worker.demo.scene import Scene
from worker.demo.services import kafka_available
from worker.errors import FailedRunError
from worker.feed.events import FeedEvent
from worker.report.model import LabelOutcome, LabelSpan
from worker.runtime.assemble import build_encoders

Backend = Literal["auto", "kafka", "embedded"]

SPEED = 3.0  # times real time
PARTITIONS = 1  # a young source borrows its neighbours' calibration, partition by partition
# The clip lasts 79.5 s; in production a source is judged after 200 Moments.
CALIBRATION_MOMENTS = 40
LAWN_EVENT = "people_on_lawn"
LAWN_SECONDS = 3.0  # within which it has to be found


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Directory for results.")] = Path(
        "out/demo"
    ),
    backend: Annotated[
        Backend, typer.Option(help="auto: Kafka where Java 17 and Maven are there.")
    ] = "auto",
    speed: Annotated[
        float, typer.Option(min=0.1, help="Times real time (kafka); embedded does not wait.")
    ] = SPEED,
    inject: Annotated[
        bool, typer.Option(help="Also the three injected events, not just the real ones.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Play 80 s of a campus plaza, seen by four cameras, and find what is unusual in it."""
    plaza = scene.load()
    config = config_of(None, {"scoring.calibration_moments": CALIBRATION_MOMENTS})
    prepare_directory(output)
    console = Console(stderr=True)
    chosen, why = _choose(backend)
    console.print(f"Backend: {chosen} ({why})")
    start = _start(plaza, config)
    events = partial(scene.events, plaza, start, inject=inject)
    reach = _kafka if chosen == "kafka" else _embedded
    played = reach(config, output, events, plaza, start, speed, console)
    story = Story(
        title=plaza.title,
        subtitle="Real footage of a campus plaza, read as four cameras with captions and sound.",
        backend=f"{chosen}: {why}",
        labels=_labels(plaza, start, inject),
        events=events,
        now=time.time_ns() // 1000,
    )
    results = write_results(output, config, played, story)
    if as_json:
        sys.stdout.write((output / "summary.json").read_text(encoding="utf-8"))
    else:
        terminal.show(results, output, played.wall_seconds, Console())
    _judge(results)


def _choose(backend: Backend) -> tuple[Literal["kafka", "embedded"], str]:
    if backend != "auto":
        return backend, "as asked for"
    available, why = kafka_available()
    if available:
        return "kafka", "a real Apache Kafka can be started here"
    return "embedded", why


def _start(plaza: Scene, config: Config) -> int:
    """Return a start in the past, on the edge of a window."""
    start = time.time_ns() // 1000 - seconds(plaza.video.duration_s + 5)
    return start - start % seconds(config.pairing.window_seconds)


def _kafka(
    config: Config,
    output: Path,
    events: Callable[[], Iterator[FeedEvent]],
    plaza: Scene,
    start: int,
    speed: float,
    console: Console,
) -> Played:
    with (
        kafka_run.services(config, output, PARTITIONS, console.print) as reached,
        bar(console, "Playing", plaza.video.duration_s) as advance,
    ):
        return kafka_run.play(
            reached,
            output,
            events(),
            speed,
            lambda time: advance((time - start) / MICROSECONDS),
            console.print,
        )


def _embedded(
    config: Config,
    _output: Path,
    events: Callable[[], Iterator[FeedEvent]],
    plaza: Scene,
    start: int,
    _speed: float,
    console: Console,
) -> Played:
    with console.status("Loading the encoders (the first time they are measured for seconds)"):
        encoders = build_encoders(config)
    with bar(console, "Playing", plaza.video.duration_s) as advance:
        return embedded.play(
            config,
            encoders,
            events(),
            partitions=PARTITIONS,
            progress=lambda time: advance((time - start) / MICROSECONDS),
        )


def _labels(plaza: Scene, start: int, inject: bool) -> dict[str, tuple[LabelSpan, ...]]:
    sources = {camera.id: camera.source for camera in plaza.cameras}
    labels: dict[str, tuple[LabelSpan, ...]] = dict.fromkeys(sources.values(), ())
    for label in plaza.labels:
        if label.natural or inject:
            span = LabelSpan(
                start=start + seconds(label.start_s),
                end=start + seconds(label.end_s),
                kind=label.kind,
                modality=label.modality,
                natural=label.natural,
                note=label.note,
            )
            labels[sources[label.camera]] += (span,)
    return labels


def _judge(results: Results) -> None:
    """Fail where events are unaccounted for or the real event was missed."""
    if not results.tally.reconciles:
        raise FailedRunError("The counts do not reconcile: events are unaccounted for.")
    found = [outcome for outcome in results.report.outcomes if outcome.kind == LAWN_EVENT]
    if not any(_is_found(outcome) for outcome in found):
        raise FailedRunError(
            f"The people on the lawn were not found within {LAWN_SECONDS:g} s for what is seen."
        )


def _is_found(outcome: LabelOutcome) -> bool:
    seconds_taken = outcome.seconds_to_detect
    in_time = seconds_taken is not None and seconds_taken <= LAWN_SECONDS
    return in_time and outcome.right_reason is True
