"""What the benchmarks draw is what the worker would have computed, in names, shapes and types."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks.alert_delay import AlertDelays
from tests.benchmarks.backlog import build, moments_of
from tests.benchmarks.cameras import COVERED_SECONDS, Plan
from tests.benchmarks.features import Looks, full_grown
from tests.benchmarks.throughput import bare_shard
from tests.benchmarks.transactions import Load, Pair
from tests.runtime.builders import HashEncoder, config, picture
from worker.core.events import ContentType, Event, Modality, Record
from worker.core.moment import ClosedBy, Moment
from worker.core.rfc3339 import seconds
from worker.runtime.assemble import build_pipeline

DIMS = {Modality.FRAME: 1280, Modality.CAPTION: 384, Modality.AUDIO: 128}


def event(modality: Modality, content_type: ContentType, payload: bytes, at: int = 0) -> Event:
    record = Record(str(modality), 0, at, 0, b"/cameras/a", payload)
    return Event("/cameras/a", modality, f"{modality} {at}", at, content_type, record)


def test_drawn_features_have_the_names_shapes_and_types_of_computed_ones() -> None:
    pipeline = build_pipeline(config(), {each: HashEncoder(each, DIMS[each]) for each in DIMS})
    sound = np.random.default_rng(0).integers(-9000, 9000, 16_000).astype(">i2").tobytes()
    events = (
        event(Modality.FRAME, ContentType("image/png"), picture(3)),
        event(Modality.FRAME, ContentType("image/png"), picture(4), at=1),
        event(Modality.AUDIO, ContentType("audio/l16", (("rate", "16000"),)), sound),
        event(Modality.CAPTION, ContentType("text/plain"), b"a quiet street"),
    )
    moment = Moment("/cameras/a", 0, seconds(1), events, ClosedBy.WATERMARK)
    prepared = [pipeline.prepare(moment)]
    vectors = {
        key: vector
        for modality, contents in pipeline.wanted(prepared).items()
        for key, vector in pipeline.encode(modality, contents).items()
    }
    (embedded,) = pipeline.fuse(prepared, vectors)
    drawn = Looks(384).features([1], captioned=True)
    shapes = {name: (value.shape, value.dtype) for name, value in embedded.features.items()}
    assert {name: (value.shape, value.dtype) for name, value in drawn.items()} == shapes


def test_a_source_can_be_full_grown() -> None:
    assert full_grown(8)


def test_each_source_has_its_lens_covered_once_in_a_period() -> None:
    plan = Plan(sources=4, first=60, period=20, last=100)
    for source in range(4):
        begins = {plan.covered(source, second / 10) for second in range(1500)} - {None}
        assert begins == {60 + 5 * source, 80 + 5 * source}
    assert plan.covered(0, 60 + COVERED_SECONDS) is None


def test_the_overhead_is_the_share_of_throughput_that_is_lost() -> None:
    with_them = Load("transactions", False, 95, 10, 1.0, 1.1)
    without = Load("plain", False, 100, 10, 1.0, 1.0)
    assert Pair(with_them, without).overhead == pytest.approx(0.05)
    assert Pair(with_them, without).cpu_overhead == pytest.approx(0.1)


def test_fewer_than_two_alerts_have_no_percentiles() -> None:
    assert AlertDelays(4, 2, (1.0,), (1.0,), 0, 0.0).percentile(50) is None
    assert AlertDelays(4, 3, (1.0, 2.0, 3.0), (), 0, 0.0).percentile(50) == 2


def test_the_bare_loop_has_all_moments_of_the_backlog_but_the_open_ones() -> None:
    one = build_pipeline(config(), {each: HashEncoder(each, DIMS[each]) for each in DIMS})
    backlog = build(config(), 10, 1)
    moments = list(moments_of(config(), backlog, bare_shard(config(), one)))
    assert len({moment.source for moment in moments}) == 4
    assert 4 * 6 <= len(moments) <= 4 * 10
