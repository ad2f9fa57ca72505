"""How much of everything a number of cameras needs: arithmetic on measured figures, no more."""

from __future__ import annotations

import math
from dataclasses import dataclass

HOUR_SECONDS = 3600
STEP = 6  # partitions come in multiples of this, which 1, 2, 3 and 6 workers share evenly
PARTITIONS_PER_WORKER = 2  # at least, so that the workers can be doubled later
SOURCES_PER_PARTITION = 1400  # restored by one worker, a thousand in some 8 s
BUSY = 0.6  # share of a worker that is planned for; the rest is for unevenness and catching up


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured; an installation knows its own better. Sizes are bytes of one record.

    Speed and `worker_bytes` are those of docs/measured.md: 2 cores, 10 frames a second of which 4
    are encoded per Moment; Kafka and Redis on the same cores. Sizes of records are means over the
    built-in scene (views of one 80 s clip); cached ones are what Redis itself takes for them;
    those of a source are of one that has learned for more than an hour.
    """

    worker_moments_per_second: float = 34.4
    worker_cores: float = 2
    worker_frames_per_moment: int = 4
    worker_bytes: float = 0.67e9
    source_bytes: float = 0.97e6  # learned numbers of one source, in memory
    stored_source_bytes: float = 854e3  # the same in topic `snapshots`
    frame_bytes: float = 27_000
    clip_bytes: float = 20_300
    caption_bytes: float = 65
    envelope_bytes: float = 175  # key and headers of an input
    observation_bytes: float = 14_500
    shadow_bytes: float = 2_400  # in it, of a bundle in shadow
    cached_frame_bytes: float = 3300
    cached_clip_bytes: float = 400
    cached_caption_bytes: float = 1020


MEASURED = Figures()


@dataclass(frozen=True, slots=True)
class Workload:
    """What cameras send, and how the worker and the topics are set. Rates are per camera."""

    cameras: int
    frames_per_second: float
    clips_per_second: float
    captions_per_minute: float
    window_seconds: float
    grace_seconds: float
    frames_per_moment: int
    retention_hours: float
    observation_hours: float
    replication: int
    cache_seconds: float
    scorers: int = 1  # 2 with a bundle in shadow, which has one of its own


@dataclass(frozen=True, slots=True)
class Plan:
    """What is needed; bytes, and bytes or Moments per second. Storage includes all replicas."""

    moments_per_second: float
    workers: int
    partitions: int
    cores: float
    worker_memory_bytes: float
    input_bytes_per_second: float
    output_bytes_per_second: float
    replication_bytes_per_second: float
    redis_bytes: float
    input_topics_bytes: float
    observations_bytes: float
    snapshots_bytes: float


def plan(load: Workload, figures: Figures = MEASURED) -> Plan:
    """Return what a workload needs.

    >>> plan(Workload(4, 10, 1, 6, 1, 2, 4, 24, 168, 3, 3600)).workers
    1
    """
    moments = load.cameras / load.window_seconds
    workers = _workers(load, figures, moments)
    arriving = load.cameras * _camera_bytes(load, figures)
    shadows = load.scorers - 1
    written = moments * (figures.observation_bytes + shadows * figures.shadow_bytes)
    replicas = load.replication
    return Plan(
        moments_per_second=moments,
        workers=workers,
        partitions=_partitions(load.cameras, workers),
        cores=workers * figures.worker_cores,
        worker_memory_bytes=_worker_memory(load, figures, workers, arriving),
        input_bytes_per_second=arriving,
        output_bytes_per_second=written,
        replication_bytes_per_second=(arriving + written) * (replicas - 1),
        redis_bytes=load.cache_seconds * load.cameras * _cached_bytes(load, figures),
        input_topics_bytes=arriving * load.retention_hours * HOUR_SECONDS * replicas,
        observations_bytes=written * load.observation_hours * HOUR_SECONDS * replicas,
        snapshots_bytes=2 * load.cameras * load.scorers * figures.stored_source_bytes * replicas,
    )


def _workers(load: Workload, figures: Figures, moments: float) -> int:
    """More frames per Moment than were measured cost in proportion; fewer are not counted on."""
    effort = max(1.0, load.frames_per_moment / figures.worker_frames_per_moment)
    speed = figures.worker_moments_per_second * BUSY
    return max(1, math.ceil(moments * effort / speed))


def _partitions(cameras: int, workers: int) -> int:
    least = max(workers * PARTITIONS_PER_WORKER, math.ceil(cameras / SOURCES_PER_PARTITION))
    return math.ceil(least / STEP) * STEP


def _worker_memory(load: Workload, figures: Figures, workers: int, arriving: float) -> float:
    """What it takes by itself, its share of the sources, and their open windows."""
    open_seconds = load.window_seconds + load.grace_seconds
    shared = load.cameras * load.scorers * figures.source_bytes + arriving * open_seconds
    return figures.worker_bytes + shared / workers


def _camera_bytes(load: Workload, figures: Figures) -> float:
    """Bytes per second of one camera, envelopes included."""
    sent = (
        (load.frames_per_second, figures.frame_bytes),
        (load.clips_per_second, figures.clip_bytes),
        (load.captions_per_minute / 60, figures.caption_bytes),
    )
    return sum(rate * (size + figures.envelope_bytes) for rate, size in sent)


def _cached_bytes(load: Workload, figures: Figures) -> float:
    """Bytes of embeddings per second of one camera: those of the frames that are encoded only."""
    encoded = min(load.frames_per_second, load.frames_per_moment / load.window_seconds)
    return (
        encoded * figures.cached_frame_bytes
        + load.clips_per_second * figures.cached_clip_bytes
        + load.captions_per_minute / 60 * figures.cached_caption_bytes
    )
