"""How long after an event its alert can be read, at a rate that the worker sustains with ease."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import quantiles
from typing import Protocol

from tests.benchmarks.cameras import Cameras, Plan
from tests.benchmarks.on_kafka import Stage, apart, create, with_process
from tests.benchmarks.process import WorkerProcess
from tests.benchmarks.reading import Reader
from worker.adapters.kafka.sink import KafkaSink
from worker.config import Config
from worker.core.messages import Alert, read_alert
from worker.core.rfc3339 import MICROSECONDS, seconds
from worker.feed.events import FeedEvent, to_output
from worker.runtime.topics import topic_of_modality

CALIBRATION_MOMENTS = 40
FALSE_ALARMS_PER_DAY = 100  # so that two Moments with a covered lens are enough after so little
COOLDOWN_SECONDS = 2
PERIOD_SECONDS = 15.0  # between two covered lenses of one source
_LATEST_SECONDS = 15.0  # after the last injection, in which an alert may still come


@dataclass(frozen=True, slots=True)
class AlertDelays:
    """Seconds until an alert that opens can be read, as read committed.

    `seconds` count from the first frame with a covered lens in the Moment that the alert names,
    `onset_seconds` from the first one of all: an alert may wait for a second unusual Moment.
    `moments_per_second` is the load, a Moment a second of each source; `behind_seconds` how late
    the feeder itself was at most; `other` the alerts that no injection explains.
    """

    moments_per_second: int
    injected: int
    seconds: tuple[float, ...]
    onset_seconds: tuple[float, ...]
    other: int
    behind_seconds: float

    def percentile(self, percent: int) -> float | None:
        """Return a percentile of the delays, 1..99; None where there are fewer than two."""
        if len(self.seconds) < 2:
            return None
        return quantiles(self.seconds, n=100, method="inclusive")[percent - 1]


def measure(stage: Stage, rate: int, warm_up: float, injecting: float) -> AlertDelays:
    """Feed `rate` sources in real time; cover lenses for `injecting` seconds after `warm_up`."""
    config = _settings(with_process(apart(stage.config, "delay", inputs=True), "delay"))
    create(config, stage.partitions)
    plan = Plan(rate, warm_up, PERIOD_SECONDS, warm_up + injecting)
    cameras = Cameras(plan, stage.partitions)
    seen: list[tuple[float, Alert]] = []
    reader = Reader(
        config.kafka, config.topics.alerts, lambda at, value: seen.append((at, read_alert(value)))
    )
    with WorkerProcess(config, stage.directory, "delay"), reader:
        behind = feed(config, cameras, warm_up + injecting + _LATEST_SECONDS)
    found, other = _matched(seen, cameras)
    delays, onsets = (
        (tuple(sorted(each)) for each in zip(*found, strict=True)) if found else ((), ())
    )
    return AlertDelays(rate, len(cameras.injections), delays, onsets, other, behind)


def _matched(
    seen: list[tuple[float, Alert]], cameras: Cameras
) -> tuple[list[tuple[float, float]], int]:
    """Return both delays of each injection that an alert was opened for, and the other alerts."""
    delays: dict[tuple[str, int], tuple[float, float]] = {}
    other = 0
    for at, alert in seen:
        if alert.type != "open":
            continue
        named = (cameras.covered.get((alert.source, each)) for each in alert.evidence.event_ids)
        first = min((frame for frame in named if frame is not None), default=None)
        if first is None:
            other += 1
        else:
            since = at - first.time / MICROSECONDS, at - first.began / MICROSECONDS
            delays.setdefault((alert.source, first.began), since)
    return list(delays.values()), other


class Feed(Protocol):
    """Who has events to send."""

    def events(self, start: int) -> Iterator[FeedEvent]:
        """Yield them in order of time, from `start` on, in microseconds since the epoch."""


def feed(config: Config, cameras: Feed, length: float) -> float:
    """Send each event at its time, for `length` seconds; return how late that was at most."""
    topics = topic_of_modality(config)
    sink, behind = KafkaSink(config.kafka), 0.0
    start = time.time_ns() // 1000
    try:
        for event in cameras.events(start):
            if event.time - start > seconds(length):
                break
            early = event.time / MICROSECONDS - time.time()
            time.sleep(max(0.0, early))
            sink.append(to_output(event, topics))
            behind = max(behind, -early)
        sink.flush()
    finally:
        sink.close()
    return behind


def _settings(config: Config) -> Config:
    scoring = {
        "calibration_moments": CALIBRATION_MOMENTS,
        "false_alarms_per_day": FALSE_ALARMS_PER_DAY,
        "cooldown_seconds": COOLDOWN_SECONDS,
    }
    return config.model_copy(update={"scoring": config.scoring.model_copy(update=scoring)})
