"""What a finished run leaves on disk: JSON lines, a summary, a picture and a page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.config import Config, config_hash
from worker.core.events import ContentType, Modality, Record
from worker.core.messages import read_alert, read_observation
from worker.demo.tally import Tally, read_tally
from worker.feed.events import FLAC, FeedEvent
from worker.media.audio import decode_audio
from worker.media.limits import Limits
from worker.report.build import (
    EventKey,
    Media,
    Run,
    build_report,
    chapters,
    wanted_media,
)
from worker.report.model import LabelSpan, Report
from worker.report.write import write_report
from worker.runtime.policies import alert_policies


@dataclass(frozen=True, slots=True)
class Played:
    """What a run left in the log, by topic, the worker's metrics as text, and how long it took."""

    records: Mapping[str, Sequence[Record]]
    exposition: str
    wall_seconds: float


@dataclass(frozen=True, slots=True)
class Story:
    """What the results are told with. `events` plays the input anew, for pictures and sounds."""

    title: str
    subtitle: str
    backend: str
    labels: Mapping[str, tuple[LabelSpan, ...]] | None
    events: Callable[[], Iterator[FeedEvent]]
    now: int


@dataclass(frozen=True, slots=True)
class Results:
    """A run, read back from what it wrote."""

    run: Run
    report: Report
    tally: Tally


def write_results(directory: Path, config: Config, played: Played, story: Story) -> Results:
    """Write all files and return what is in them. Raises OperatorError."""
    _write_lines(directory / "observations.jsonl", played.records[config.topics.observations])
    _write_lines(directory / "alerts.jsonl", played.records[config.topics.alerts])
    run = _run(config, played, story)
    told = chapters(run)
    heading = {"title": story.title, "subtitle": story.subtitle, "backend": story.backend}
    media = Media(_payloads(story.events(), wanted_media(told)), _waveform)
    report = build_report(run, told, media, heading, story.now)
    tally = read_tally(played.exposition)
    write_report(report, directory)
    summary = json.dumps(_summary(config, report, tally), indent=2, ensure_ascii=False)
    (directory / "summary.json").write_text(summary + "\n", encoding="utf-8")
    return Results(run, report, tally)


def _run(config: Config, played: Played, story: Story) -> Run:
    records, tally = played.records, read_tally(played.exposition)
    observations = tuple(
        read_observation(record.value or b"") for record in records[config.topics.observations]
    )
    alerts = tuple(read_alert(record.value or b"") for record in records[config.topics.alerts])
    frames = tally.encoded.get(Modality.FRAME, 0)
    return Run(
        observations=observations,
        alerts=alerts,
        policies=alert_policies(config),
        window_seconds=config.pairing.window_seconds,
        counts=tally.counts(),
        rates={
            "moments/s": len(observations) / played.wall_seconds,
            "events/s": tally.consumed / played.wall_seconds,
            "frames encoded/s": frames / played.wall_seconds,
        },
        stage_seconds=tally.stage_seconds,
        labels=story.labels,
    )


def _write_lines(path: Path, records: Iterable[Record]) -> None:
    with path.open("wb") as file:
        file.writelines((record.value or b"") + b"\n" for record in records)


def _payloads(events: Iterator[FeedEvent], wanted: set[EventKey]) -> dict[EventKey, bytes]:
    found: dict[EventKey, bytes] = {}
    for event in events:
        if len(found) == len(wanted):
            break
        key = (event.source, event.modality, event.id)
        if key in wanted:
            found[key] = event.payload
    return found


def _waveform(payload: bytes) -> NDArray[np.float32]:
    samples: NDArray[np.float32] = decode_audio(payload, ContentType(FLAC), Limits())
    return samples


def _summary(config: Config, report: Report, tally: Tally) -> dict[str, Any]:
    hits = [outcome for outcome in report.outcomes if outcome.hit]
    return {
        "backend": report.backend,
        "config_hash": config_hash(config),
        "settings": {
            "false_alarms_per_day": config.scoring.false_alarms_per_day,
            "calibration_moments": config.scoring.calibration_moments,
            "window_seconds": config.pairing.window_seconds,
        },
        "sources": len(report.cameras),
        "moments": sum(len(camera.points) for camera in report.cameras),
        "alerts": len(report.alerts),
        "false_alarms": report.false_alarms,
        "labelled_events": len(report.outcomes),
        "labelled_events_found": len(hits),
        "outcomes": [asdict(outcome) for outcome in report.outcomes],
        "counts": tally.counts(),
        "rates": dict(report.rates),
        "stage_seconds": dict(report.stage_seconds),
    }
