from __future__ import annotations

from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.sizing import MEASURED, STEP, Figures, Workload, plan

SMALL = Workload(
    cameras=10,
    frames_per_second=5,
    clips_per_second=1,
    captions_per_minute=60,
    window_seconds=1,
    grace_seconds=2,
    frames_per_moment=4,
    retention_hours=1,
    observation_hours=2,
    replication=3,
    cache_seconds=60,
)
ROUND = Figures(
    worker_moments_per_second=10,
    worker_cores=2,
    worker_frames_per_moment=4,
    worker_bytes=1000,
    source_bytes=50,
    stored_source_bytes=40,
    frame_bytes=90,
    clip_bytes=190,
    caption_bytes=40,
    envelope_bytes=10,
    observation_bytes=7,
    shadow_bytes=3,
    cached_frame_bytes=100,
    cached_clip_bytes=10,
    cached_caption_bytes=1,
)
workloads = st.builds(
    replace,
    st.just(SMALL),
    cameras=st.integers(1, 100_000),
    frames_per_second=st.floats(0.1, 60),
    frames_per_moment=st.integers(1, 64),
    window_seconds=st.floats(0.5, 60),
)


def test_a_bundle_in_shadow_has_learned_numbers_of_its_own() -> None:
    one, two = plan(SMALL, ROUND), plan(replace(SMALL, scorers=2), ROUND)
    assert two.worker_memory_bytes - one.worker_memory_bytes == 10 * 50 / 2
    assert two.snapshots_bytes == 2 * one.snapshots_bytes
    assert two.observations_bytes - one.observations_bytes == 10 * 3 * 2 * 3600 * 3
    assert two.workers == one.workers


def test_a_plan_is_what_one_would_work_out_by_hand() -> None:
    camera = 5 * 100 + 1 * 200 + 1 * 50  # bytes per second
    assert asdict(plan(SMALL, ROUND)) == {
        "moments_per_second": 10,
        "workers": 2,  # each 6 of the 10 that it can
        "partitions": 6,
        "cores": 4,
        "worker_memory_bytes": 1000 + (10 * 50 + 10 * camera * 3) / 2,
        "input_bytes_per_second": 10 * camera,
        "output_bytes_per_second": 70,
        "replication_bytes_per_second": 2 * (10 * camera + 70),
        "redis_bytes": 60 * 10 * (4 * 100 + 10 + 1),
        "input_topics_bytes": 10 * camera * 3600 * 3,
        "observations_bytes": 70 * 7200 * 3,
        "snapshots_bytes": 2 * 10 * 40 * 3,
    }


def test_more_frames_per_moment_want_more_workers_and_fewer_are_not_counted_on() -> None:
    workers = {
        frames: plan(replace(SMALL, frames_per_moment=frames), ROUND).workers
        for frames in (1, 4, 8)
    }
    assert workers == {1: 2, 4: 2, 8: 4}


def test_sources_that_a_partition_can_remember_set_the_partitions_of_slow_cameras() -> None:
    slow = replace(SMALL, cameras=100_000, window_seconds=3600)
    needed = plan(slow)
    assert needed.workers == 2
    assert 100_000 / 1400 <= needed.partitions < 100_000 / 1400 + STEP


@given(workloads)
def test_workers_and_partitions_are_always_enough(load: Workload) -> None:
    needed = plan(load)
    assert needed.workers * MEASURED.worker_moments_per_second >= needed.moments_per_second
    assert needed.partitions >= 2 * needed.workers and needed.partitions % STEP == 0


@given(workloads, st.integers(1, 1000))
def test_more_cameras_never_need_less(load: Workload, more: int) -> None:
    fewer, larger = asdict(plan(load)), asdict(plan(replace(load, cameras=load.cameras + more)))
    for name in fewer.keys() - {"worker_memory_bytes"}:  # shared by more workers
        assert larger[name] >= fewer[name], name


@pytest.mark.parametrize("hours", [0, 24])
def test_what_is_not_kept_takes_no_room(hours: float) -> None:
    kept = plan(replace(SMALL, retention_hours=hours)).input_topics_bytes
    assert (kept > 0) == (hours > 0)
