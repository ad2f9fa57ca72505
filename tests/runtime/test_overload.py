"""More than can be judged in time: the worker does less of each Moment, says so, loses nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import pytest
from numpy.typing import NDArray

from tests.runtime.builders import (
    START,
    HashEncoder,
    Member,
    World,
    config,
    encoders,
    event,
    picture,
)
from tests.simulation.inline import InlineInference
from worker.core.events import Modality
from worker.core.messages import read_observation
from worker.core.moment import ClosedBy, Effort
from worker.core.ports import TopicPartition
from worker.core.rfc3339 import seconds
from worker.demo.embedded import VirtualClock
from worker.feed.events import FeedEvent
from worker.runtime import lineup
from worker.runtime.inference import Batch

FRAMES = 4  # a second, of each camera
TICK = 0.05  # seconds that pass where there is nothing to do
USUAL = 3.0  # seconds: window and grace
COST = 0.5 / FRAMES  # seconds of a picture: one camera is half of what can be done


class SlowEncoder(HashEncoder):
    """Takes a time of the world's clock for each picture."""

    def __init__(self, clock: VirtualClock, cost: float) -> None:
        super().__init__(Modality.FRAME)
        self._clock = clock
        self._cost = seconds(cost)

    def encode(self, batch: Any) -> NDArray[Any]:
        self._clock.now += self._cost * len(batch)
        return super().encode(batch)


class Judged(NamedTuple):
    """What was given up of a Moment, and how long after its window it was judged, in seconds."""

    second: int
    given_up: tuple[str, ...]
    delay: float
    source: str


def camera(number: int, first: int, last: int) -> Iterator[FeedEvent]:
    """Yield the events of a camera from second `first` on, until before `last`."""
    source = f"/cameras/{number}"
    for second in range(first, last):
        yield event("audio", second, source)
        for frame in range(FRAMES):  # pictures that look alike would be encoded once
            shown = picture(41 * number + 5 * (FRAMES * second + frame))
            yield event("frame", second + frame / FRAMES, source, payload=shown)


def play(
    events: list[FeedEvent], overload: str = "auto", looks: int = 0, **settings: float
) -> tuple[World, Member, list[Judged]]:
    """Let the events come at their times to a worker, and time pass as it works.

    A batch comes out of its inference after so many `looks`, and one at a time where that is any.
    """
    world = World(config(models__overload=overload, **settings))
    slow = encoders(frame=SlowEncoder(world.clock, COST))
    member = world.join(slow, running=partial(InlineInference, looks=lambda: looks))
    waiting = sorted(events, key=lambda one: one.time, reverse=True)
    judged: list[Judged] = []
    end = waiting[0].time + seconds(30)
    while world.clock.now < end:
        while waiting and waiting[-1].time <= world.clock.now:
            one = waiting.pop()
            late, world.clock.now = world.clock.now, one.time
            world.append([one])
            world.clock.now = late
        if not member.worker.step():
            world.clock.now += seconds(TICK)
        judged += new(world, len(judged))
    return world, member, judged


def new(world: World, known: int) -> Iterator[Judged]:
    """Yield what was judged since."""
    topic = TopicPartition(world.settings.topics.observations, 0)
    for record in world.log.read(topic, known, 1000)[0]:
        one = read_observation(record.value or b"")
        delay = (world.clock.now - one.window_end) / 1e6
        usual = one.closed_by is ClosedBy.WATERMARK  # else it had to wait for a silence
        second = (one.window_start - START) // 1_000_000
        yield Judged(second, one.degraded, delay if usual else 0.0, one.source)


@pytest.fixture(autouse=True)
def _small_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no more wait in queues than real ones hold of real cameras: some seconds of work."""
    monkeypatch.setattr(lineup, "BATCH_MOMENTS", 2)
    monkeypatch.setattr(lineup, "BACKLOG_BATCH_MOMENTS", 3)
    monkeypatch.setattr(lineup, "READY_MOMENTS", 4)


def test_at_half_load_nothing_is_given_up() -> None:
    _, member, judged = play(list(camera(0, 0, 40)))
    assert {one.given_up for one in judged} == {()}
    assert member.metric("overload_step") == 0


def test_at_half_load_nothing_is_given_up_of_the_shortest_windows_either() -> None:
    _, member, judged = play(
        list(camera(0, 0, 40)), pairing__window_seconds=0.2, pairing__grace_seconds=0
    )
    assert {one.given_up for one in judged} == {()}
    assert member.metric("overload_step") == 0


def test_too_much_makes_it_coarser_and_not_later_and_calm_makes_it_whole_again() -> None:
    stormy = [one for number in range(6) for one in camera(number, 10, 45)]
    world, member, judged = play([*camera(0, 0, 10), *camera(0, 45, 90), *stormy])
    assert max(one.delay for one in judged) < 3 * USUAL
    assert {one.given_up for one in judged if one.second < 10} == {()}
    assert {one.given_up for one in judged if one.second >= 85} == {()}
    flags = Counter(flag for one in judged for flag in one.given_up)
    assert flags["overload:fewer_frames"]
    assert flags["overload:one_frame"]
    assert member.metric("overload_step") == 0
    endings = world.endings()
    records = sum(len(world.log.read_all(topic)) for topic in world.inputs.values())
    assert len(endings) == records
    assert all(len(ends) == 1 for ends in endings.values())
    assert member.tally().reconciles


def test_what_is_on_its_way_in_the_inference_counts_as_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lineup, "BATCH_MOMENTS", 6)  # so it has room for all that is late
    monkeypatch.setattr(lineup, "READY_MOMENTS", 12)
    stormy = [one for number in range(6) for one in camera(number, 10, 45)]
    _, _, judged = play([*camera(0, 0, 10), *stormy], looks=1)
    assert max(one.delay for one in judged) < 3 * USUAL
    assert max(one.delay for one in judged if one.second >= 20) < 2 * USUAL  # it has climbed


def test_a_moment_of_which_nothing_was_left_out_says_so_whatever_is_left_out_of_others() -> None:
    stormy = [one for number in range(6) for one in camera(number, 0, 40)]
    words = [event("caption", second, "/cameras/words") for second in range(40)]
    single = [one for one in camera(9, 0, 40) if one.modality != "frame"]
    _, member, judged = play([*stormy, *words, *single])
    assert member.metric("overload_step") > 3
    flags = {one.source: set[str]() for one in judged}
    for one in judged:
        flags[one.source].update(one.given_up)
    assert flags["/cameras/words"] == set()
    assert flags["/cameras/9"] <= {"overload:caption_alone"}
    assert "overload:one_frame" in flags["/cameras/1"]


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[Batch]:
    """Return what is given to the inference, as it is given."""
    given: list[Batch] = []
    submit = InlineInference.submit

    def watched(inference: InlineInference, batch: Batch) -> None:
        given.append(batch)
        submit(inference, batch)

    monkeypatch.setattr(InlineInference, "submit", watched)
    return given


def test_few_moments_are_on_their_way_while_their_pictures_are_many_where_they_are_none(
    monkeypatch: pytest.MonkeyPatch, batches: list[Batch]
) -> None:
    monkeypatch.setattr(lineup, "STRAINED_BATCH_MOMENTS", 1)
    play([one for number in range(12) for one in camera(number, 0, 40)])
    sizes: dict[Effort, set[int]] = {effort: set() for effort in Effort}
    for batch in batches:
        for moment in batch.moments:
            sizes[moment.effort].add(len(batch.moments))
    assert sizes[Effort.FEWER_FRAMES] | sizes[Effort.ONE_FRAME] == {1}
    assert max(sizes[Effort.NO_FRAME_ENCODER]) > 1


def test_a_backlog_is_judged_by_larger_batches(
    monkeypatch: pytest.MonkeyPatch, batches: list[Batch]
) -> None:
    monkeypatch.setattr(lineup, "BACKLOG_RECORDS", 20)
    play([one for number in range(6) for one in camera(number, 0, 30)], overload="off")
    sizes = [len(batch.moments) for batch in batches]
    assert max(sizes[:4]) <= 2  # few records are unread yet
    assert 3 in sizes


def test_switched_off_it_does_all_and_gets_later() -> None:
    busy = [one for number in range(6) for one in camera(number, 0, 30)]
    _, _, judged = play(busy, overload="off")
    assert {one.given_up for one in judged} == {()}
    assert max(one.delay for one in judged) > 5 * USUAL
