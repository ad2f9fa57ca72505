"""What is learned from: which rows, which labels, what is held out, what is drawn together."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.schemas.files import load_example
from tests.training.builders import rows
from worker.core.events import Modality
from worker.core.messages import Observation, read_observation
from worker.errors import OperatorError
from worker.evaluation.labels import EventLabel, Time
from worker.training.batches import batches, dropped, generator, others
from worker.training.dataset import Dataset, Row, assemble, read_rows
from worker.training.labelling import labels_of

VECTOR = np.ones(4, np.float16)


def observation() -> Observation:
    return read_observation(json.dumps(load_example("observation.full")).encode())


def test_an_empty_stream_is_refused() -> None:
    with pytest.raises(OperatorError, match="the stream is empty"):
        read_rows([])


def test_observations_of_several_models_are_refused() -> None:
    one = observation()
    with pytest.raises(OperatorError, match="made by different models"):
        read_rows([one, replace(one, model="0" * 64)])


def test_the_beginning_alone_is_read_in_whatever_order_partitions_come() -> None:
    one = observation()
    starts = [one.window_start + n * 1_000_000 for n in (7, 1, 0, 3)]
    later = [replace(one, window_start=each, window_end=each) for each in starts]
    found, _ = read_rows(later, seconds=3)
    assert [row.start - one.window_start for row in found] == [0, 1_000_000]


def test_the_best_feature_that_most_rows_have_is_taken() -> None:
    found = [
        Row("/a", second, second + 1, {"visual": VECTOR, "text": VECTOR, **more})
        for second in range(20)
        for more in [{"frame_embedding": VECTOR} if second < 5 else {}]
    ]
    assert assemble(found).features == {Modality.FRAME: "visual", Modality.CAPTION: "text"}
    full = [replace(row, inputs={**row.inputs, "frame_embedding": VECTOR}) for row in found]
    assert assemble(full).features[Modality.FRAME] == "frame_embedding"


def test_what_is_not_finite_is_missing() -> None:
    one = observation()
    spoilt = replace(one, features={"text": np.full(4, np.nan, np.float16), "visual": VECTOR})
    (row,), _ = read_rows([spoilt])
    assert set(row.inputs) == {"visual"}


def test_too_few_moments_with_two_modalities_are_refused() -> None:
    with pytest.raises(OperatorError, match="only 0 Moments have two modalities"):
        assemble(rows(features=("text",)))


def test_vectors_of_different_lengths_are_refused() -> None:
    found = rows(20, missing=0)
    odd = replace(found[3], inputs={**found[3].inputs, "text": VECTOR.astype(np.float32)})
    with pytest.raises(OperatorError, match="text of the Observations are of different lengths"):
        assemble([*found[:3], odd, *found[4:]])


def event(source: str, start: float, end: float, kind: str = "fire") -> EventLabel:
    times = [Time(int(1e6 * each), is_relative=True) for each in (start, end)]
    return EventLabel(source, times[0], times[1], kind)


def test_moments_of_labelled_sources_are_normal_where_no_event_is() -> None:
    found = rows(20, 2)
    told = labels_of(found, [event("/cameras/0", 3, 5)])
    by_source = {
        name: [t for t, row in zip(told, found, strict=True) if row.source == name]
        for name in ("/cameras/0", "/cameras/1")
    }
    assert by_source["/cameras/0"] == ["fire" if 3 <= n < 5 else "normal" for n in range(20)]
    assert set(by_source["/cameras/1"]) == {None}


def test_labels_that_match_no_observation_are_refused() -> None:
    with pytest.raises(OperatorError, match="no label matches an Observation"):
        labels_of(rows(20), [event("/cameras/elsewhere", 0, 5)])


def test_one_class_alone_is_refused() -> None:
    found = rows(20)
    told = labels_of(found, [event("/cameras/0", 0, 100)])
    with pytest.raises(OperatorError, match="with one class alone"):
        assemble(found, told)


def test_whole_blocks_of_each_source_are_held_out() -> None:
    data = assemble(rows(50, 2))
    for source in range(2):
        held = data.held_out[data.source == source].tolist()
        assert sum(held) == 10
        assert held[20:25] == held[45:50] == [True] * 5


def test_sources_of_one_moment_each_are_held_out_one_by_one() -> None:
    data = assemble(rows(1, 40, missing=0))
    assert int(data.held_out.sum()) == 8


@given(st.integers(16, 200), st.integers(2, 64), st.integers(0, 9))
def test_each_moment_is_in_one_batch(moments: int, size: int, seed: int) -> None:
    data = _of(moments)
    places = [each.tolist() for each in batches(data, size, generator(seed))]
    assert sorted(place for batch in places for place in batch) == list(range(moments))
    assert all(2 <= len(batch) <= 2 * size for batch in places)


@given(st.integers(0, 99), st.sampled_from([0.0, 0.3, 0.95]))
def test_dropout_leaves_a_modality_to_each_moment_that_has_any(seed: int, share: float) -> None:
    present = torch.rand((50, 3), generator=generator(seed, 1)) < 0.6
    left = dropped(present, share, generator(seed))
    assert not (left & ~present).any()
    assert torch.equal(left.any(1), present.any(1))
    if not share:
        assert torch.equal(left, present)


def test_half_of_the_false_partners_are_of_another_source_and_half_long_before_or_after() -> None:
    data = assemble(rows(200, 2))
    partners = others(data, generator(0))
    same = data.source == data.source[partners]
    assert 0.4 < same.float().mean() < 0.6
    apart = (data.time - data.time[partners]).abs()[same]
    assert apart.min() >= 60
    assert not (partners == torch.arange(len(data))).any()


def test_equal_parts_draw_equal_numbers_and_others_do_not() -> None:
    one, again, other = (torch.rand(8, generator=generator(*p)) for p in ((1, 2), (1, 2), (2, 1)))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def _of(moments: int) -> Dataset:
    found = [
        Row("/a", second, second + 1, {"visual": VECTOR, "text": VECTOR})
        for second in range(moments)
    ]
    return assemble(found)
