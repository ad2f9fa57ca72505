"""The stages between pairing and scoring: order, bounds, the cache, and what happens on faults."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.runtime.builders import GatedEncoder, HashEncoder, config, encoders, event, footage
from tests.runtime.test_shard import Desk
from worker.adapters.prometheus import Metrics
from worker.core.events import Modality
from worker.core.moment import Moment
from worker.core.ports import EmbeddingCache
from worker.errors import FailedRunError
from worker.models.base import Encoder, EncoderError
from worker.runtime import inference as inference_module
from worker.runtime.assemble import build_pipeline
from worker.runtime.inference import QUEUE_BATCHES, Batch, Inference, Result

METRICS = Metrics(("frames", "captions", "audio"))


class Remembering:
    """A cache that keeps everything; `spoil` changes what it gives back."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.values.get(key) for key in keys]

    def put_many(self, items: Mapping[bytes, bytes]) -> None:
        self.values |= items

    def spoil(self, value: bytes) -> None:
        self.values = dict.fromkeys(self.values, value)


@pytest.fixture(name="opened")
def _opened() -> Iterator[list[Inference]]:
    opened: list[Inference] = []
    yield opened
    for each in opened:
        each.close()


def moments(until: int) -> list[Moment]:
    desk = Desk()
    desk.read(footage(until))
    return [embedded.moment for embedded in desk.closed()]


def started(
    opened: list[Inference],
    using: Mapping[Modality, Encoder] | None = None,
    cache: EmbeddingCache | None = None,
    metrics: Metrics = METRICS,
) -> Inference:
    pipeline = build_pipeline(config(), using or encoders())
    opened.append(Inference(pipeline, cache, metrics, 2))
    return opened[-1]


def collected(inference: Inference) -> list[Result]:
    found: list[Result] = []
    deadline = time.monotonic() + 20
    while inference.in_flight:
        assert time.monotonic() < deadline
        found += inference.completed(timeout=0.1)
    return found


def run(inference: Inference, batch: Sequence[Moment]) -> Result:
    inference.submit(Batch("label", tuple(batch)))
    (result,) = collected(inference)
    return result


def test_batches_leave_in_the_order_in_which_they_came(opened: list[Inference]) -> None:
    inference = started(opened)
    left = list(enumerate(moments(12)))
    found: list[Result] = []
    while left:
        if inference.has_room:
            place, moment = left.pop(0)
            inference.submit(Batch(place, (moment,)))
        found += inference.completed()
    found += collected(inference)
    assert [result.label for result in found] == list(range(12))
    starts = [result.embedded[0].moment.start for result in found]
    assert starts == sorted(starts)


def test_no_more_batches_are_taken_than_the_queues_hold(opened: list[Inference]) -> None:
    slow = GatedEncoder(Modality.FRAME)
    inference = started(opened, encoders(frame=slow))
    (moment, *_) = moments(2)
    most = 2 * QUEUE_BATCHES + 2  # in both queues, and one in each stage
    for _ in range(most):
        while not inference.has_room:
            time.sleep(0.001)
        inference.submit(Batch(None, (moment,)))
    while inference.waiting != {"decode": QUEUE_BATCHES, "encode": QUEUE_BATCHES}:
        time.sleep(0.001)
    assert not inference.has_room
    with pytest.raises(queue.Full):
        inference.submit(Batch(None, (moment,)))
    assert inference.in_flight == most
    slow.gate.set()
    assert len(collected(inference)) == most


def test_the_same_content_is_encoded_once_in_a_batch_and_not_again_with_a_cache(
    opened: list[Inference],
) -> None:
    frames = HashEncoder(Modality.FRAME)
    inference = started(opened, encoders(frame=frames), Remembering())
    desk = Desk()
    same = event("frame", 1).payload
    desk.read([event("frame", second, payload=same) for second in range(4)])
    batch = [embedded.moment for embedded in desk.closed()]
    first = run(inference, batch)
    assert frames.encoded == 1
    second = run(inference, batch)
    assert frames.encoded == 1
    assert [one.fused.tobytes() for one in first.embedded] == [
        one.fused.tobytes() for one in second.embedded
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"\0",
        bytes(127),
        bytes(128),  # no direction
        bytes(256),
        np.full(64, np.nan, np.float16).tobytes(),
        np.full(64, np.inf, np.float16).tobytes(),
        np.ones(64, np.float16).tobytes(),  # not of length one
    ],
)
def test_a_wrong_value_in_the_cache_changes_nothing_but_speed(
    opened: list[Inference], wrong: bytes
) -> None:
    batch = moments(3)
    expected = run(started(opened), batch)
    cache = Remembering()
    inference = started(opened, cache=cache)
    run(inference, batch)
    cache.spoil(wrong)
    found = run(inference, batch)
    for one, other in zip(found.embedded, expected.embedded, strict=True):
        assert one.fused.tobytes() == other.fused.tobytes()
    assert wrong not in cache.values.values()


class Choosy(HashEncoder):
    """Has no embedding for the contents in `refused`; None: for none at all."""

    refused: Collection[bytes] | None = None

    def encode(self, batch: Any) -> NDArray[np.float16]:
        if self.refused is None or any(one.tobytes() in self.refused for one in batch):
            raise EncoderError("not_finite", "it returned a vector that is not finite")
        return super().encode(batch)


def failures(metrics: Metrics) -> float | None:
    labels = {"modality": "audio", "reason": "not_finite"}
    return metrics.registry.get_sample_value("mmworker_encoder_failures_total", labels)


def test_a_broken_encoder_is_counted_and_its_error_raised_to_the_caller(
    opened: list[Inference],
) -> None:
    metrics = Metrics(())
    inference = started(opened, encoders(audio=Choosy(Modality.AUDIO)), metrics=metrics)
    inference.submit(Batch(None, tuple(moments(1))))
    with pytest.raises(EncoderError):
        collected(inference)
    assert failures(metrics) == 1


@pytest.mark.parametrize("together", [True, False])
def test_a_content_without_an_embedding_is_left_out_of_its_moment_alone(
    opened: list[Inference], *, together: bool
) -> None:
    batch, choosy, metrics = moments(4), Choosy(Modality.AUDIO), Metrics(())
    inference = started(opened, encoders(audio=choosy), metrics=metrics)
    choosy.refused = ()
    usual = run(inference, batch).embedded
    pipeline = build_pipeline(config(), encoders())
    strange = pipeline.prepare(batch[1]).items[Modality.AUDIO][0].content
    choosy.refused = (strange.tobytes(),)
    parts = [batch] if together else [[moment] for moment in batch]
    found = [one for part in parts for one in run(inference, part).embedded]
    assert [one.degraded for one in found] == [(), ("not_encoded:audio",), (), ()]
    assert "audio_windows" in found[1].features
    assert found[1].fused.tobytes() != usual[1].fused.tobytes()
    for place in (0, 2, 3):
        assert found[place].fused.tobytes() == usual[place].fused.tobytes()
    assert failures(metrics) == 1


def test_closing_does_not_wait_for_batches_that_nobody_needs_any_more() -> None:
    slow = GatedEncoder(Modality.FRAME)
    inference = started([], encoders(frame=slow))
    (moment, *_) = moments(1)
    for _ in range(6):
        while not inference.has_room:
            time.sleep(0.001)
        inference.submit(Batch(None, (moment,)))
    opening = threading.Timer(0.2, slow.gate.set)
    opening.start()
    assert inference.close()
    assert slow.encoded == 1  # that it was at


def test_a_stage_that_hangs_is_told_and_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference_module, "STUCK_SECONDS", 0.2)
    monkeypatch.setattr(inference_module, "CLOSE_SECONDS", 0.1)
    hanging = GatedEncoder(Modality.FRAME)
    inference = started([], encoders(frame=hanging))
    inference.submit(Batch(None, tuple(moments(1))))
    with pytest.raises(FailedRunError, match="hangs"):
        collected(inference)
    assert not inference.close()
    hanging.gate.set()
