"""Nobody's clock, lag, gaps or silence affect anybody else; on the whole worker over the log."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import pytest

from tests.runtime.builders import START, Member, World, config, endings_of, event
from worker.core.events import MODALITIES, Modality
from worker.core.messages import Observation
from worker.core.partitioner import partition_for
from worker.core.rfc3339 import seconds
from worker.feed.events import FeedEvent, to_output
from worker.runtime.inference import Batch

GOOD = ("/cameras/a", "/cameras/b")
BEHIND, FAST = "/cameras/behind", "/cameras/fast"
MERGE_WAIT = 0.4  # seconds, longer than a record waits for fetches of the other topics
STEP = 0.5

Appended = tuple[float, FeedEvent]  # seconds after START


class Closed(NamedTuple):
    """When a Moment was closed, in seconds of append time, and which."""

    at: float
    source: str
    start: float


def camera(
    source: str,
    times: range,
    *,
    kinds: Iterable[Modality] = MODALITIES,
    behind: float = 0,
    fast: float = 0,
    captioned: float = 1.5,
) -> list[Appended]:
    """Return two frames and a clip per second and a caption every fourth, and their append times.

    Clips come 1 s after their time, captions `captioned` seconds. What is `behind` is appended so
    much later; a `fast` clock is ahead by so much.
    """
    found = []
    for second in times:
        found += [(second + half, event("frame", second + half, source)) for half in (0.0, STEP)]
        found.append((second + 1.0, event("audio", second, source)))
        if second % 4 == 0:
            found.append((second + captioned, event("caption", second, source)))
    return [
        (at + behind, event(one.modality, (one.time - START) / 1e6 + fast, source))
        for at, one in found
        if one.modality in kinds
    ]


class Play:
    """A worker that reads what is appended, as it comes, and remembers when it closes what."""

    def __init__(self, world: World, patch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.closed: list[Closed] = []
        self._now = 0.0
        self._member: Member = world.join()
        self._submit = self._member.inference.submit
        patch.setattr(self._member.inference, "submit", self._note)

    def append(self, events: Iterable[Appended], until: float) -> None:
        """Let the events come at their times, and time pass, in steps of half a second."""
        due = defaultdict(list)
        for at, one in events:
            due[at].append(one)
        while self._now <= until:
            self.world.clock.now = START + seconds(self._now)
            for one in due.pop(self._now, ()):
                self.world.append_output(to_output(one, self.world.inputs))
            self._member.run()
            self.world.clock.now += seconds(MERGE_WAIT)
            self._member.run()
            self._now += STEP
        assert not due, "append times are multiples of the step"

    def finish(self) -> Counter[str]:
        """Let all sources fall silent; return how many inputs ended how."""
        self.world.fall_silent()
        self._member.run()
        self._member.worker.finish(30)
        return endings_of(self.world)

    def closed_of(self, *sources: str) -> list[Closed]:
        """Return what was closed of these sources."""
        return [one for one in self.closed if one.source in sources]

    def seen_of(self, source: str) -> list[Observation]:
        """Return the Observations of a source."""
        return [one for one in self.world.observations() if one.source == source]

    def _note(self, batch: Batch) -> None:
        self.closed += [
            Closed(self._now, moment.source, (moment.start - START) / 1e6)
            for moment in batch.moments
        ]
        self._submit(batch)


MakePlay = Callable[..., Play]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakePlay]:
    worlds: list[World] = []

    def make(partitions: int = 1, **changes: object) -> Play:
        worlds.append(World(config(**changes), partitions))
        return Play(worlds[-1], monkeypatch)

    yield make
    for world in worlds:
        world.close()


def starts_of(seen: Iterable[Observation]) -> list[float]:
    return [(one.window_start - START) / 1e6 for one in seen]


def is_whole(seen: Observation) -> bool:
    """Tell whether a Moment has its two frames and its clip."""
    own = Counter(str(one.modality) for one in seen.inputs if not one.carried)
    return own["frame"] == 2 and own["audio"] == 1


def test_a_camera_that_is_behind_and_one_with_a_fast_clock_change_nothing_for_the_others(
    play: MakePlay,
) -> None:
    good = [one for source in GOOD for one in camera(source, range(30))]
    odd = [*camera(BEHIND, range(30), behind=20), *camera(FAST, range(30), fast=8)]
    alone, together = play(), play()
    alone.append(good, until=55)
    together.append([*good, *odd], until=55)
    assert together.closed_of(*GOOD) == alone.closed_of(*GOOD)
    assert len(together.closed_of(*GOOD)) == 60
    assert together.finish() == Counter(observed=len(good) + len(odd))
    for source in (BEHIND, FAST):
        assert len(together.seen_of(source)) == 30
        assert all(map(is_whole, together.seen_of(source)))


def test_a_camera_that_reconnects_with_a_minute_of_frames_is_processed_in_order_as_itself(
    play: MakePlay,
) -> None:
    good = [one for source in GOOD for one in camera(source, range(75))]
    everything = camera("/cameras/back", range(75))
    lost, back = START + seconds(10), START + seconds(70)
    offline = [(max(at, 70.0) if lost <= one.time < back else at, one) for at, one in everything]
    alone, together = play(), play()
    alone.append(good, until=80)
    together.append([*good, *offline], until=80)
    assert together.closed_of(*GOOD) == alone.closed_of(*GOOD)
    assert together.finish() == Counter(observed=len(good) + len(offline))
    seen = together.seen_of("/cameras/back")
    assert starts_of(seen) == list(range(75))
    assert all(map(is_whole, seen))


def test_a_modality_that_a_source_does_not_have_delays_it_not_at_all(play: MakePlay) -> None:
    frames_only = play()
    frames_only.append(camera("/cameras/a", range(20), kinds=[Modality.FRAME]), until=20)
    delays = [one.at - (one.start + 1) for one in frames_only.closed]
    assert delays == [2.0] * len(delays)  # the grace, since frames come at once
    assert len(delays) >= 17


def test_a_modality_that_stops_delays_its_source_by_at_most_the_idle_timeout(
    play: MakePlay,
) -> None:
    here = play()
    sound = camera("/cameras/a", range(15), kinds=[Modality.AUDIO])
    here.append([*camera("/cameras/a", range(60), kinds=[Modality.FRAME]), *sound], until=60)
    delays = {one.start: one.at - (one.start + 1) for one in here.closed}
    assert all(delay == 3.0 for start, delay in delays.items() if start < 12)  # clips take a second
    assert max(delays.values()) <= 10 + 3
    assert all(delay == 2.0 for start, delay in delays.items() if start > 25)
    assert here.finish() == Counter(observed=135)


def test_with_an_idle_topic_and_idle_partitions_windows_close_as_without(play: MakePlay) -> None:
    three = play(partitions=3)
    footage = camera("/cameras/a", range(20), kinds=[Modality.FRAME, Modality.AUDIO])
    three.append(footage, until=20)
    delays = [one.at - (one.start + 1) for one in three.closed]
    assert delays == [3.0] * len(delays)
    assert len(delays) >= 16
    assert {one.closed_by for one in three.world.observations()} == {"watermark"}
    busy = {partition_for(b"/cameras/a", 3, "murmur2")}
    used = {record.partition for record in three.world.log.read_all("frames")}
    assert used == busy  # the others, and all captions, were idle


def test_in_a_quiet_night_the_last_windows_close_by_silence_and_the_first_of_the_day_as_ever(
    play: MakePlay,
) -> None:
    here = play()
    evening, morning = camera("/cameras/a", range(5)), camera("/cameras/a", range(60, 66))
    here.append([*evening, *morning], until=66)
    assert here.finish() == Counter(observed=len(evening) + len(morning))
    seen = here.seen_of("/cameras/a")
    assert starts_of(seen) == [*range(5), *range(60, 66)]
    closed_by = [one.closed_by for one in seen]
    assert closed_by[2:5] == ["silence"] * 3
    assert closed_by[:2] + closed_by[5:8] == ["watermark"] * 5
    assert {one.at for one in here.closed if 2 <= one.start < 5} == {
        15.5
    }  # idle for 10 s, seen a step later


@pytest.mark.parametrize("captioned", [0.5, 6, 7])
def test_captions_that_come_six_or_seven_seconds_after_their_time_are_used(
    play: MakePlay, captioned: float
) -> None:
    """By default windows wait for 2 s, and a caption speaks for those that begin within 5 s."""
    here = play()
    footage = camera("/cameras/a", range(40), captioned=captioned)
    here.append(footage, until=50)
    assert here.finish() == Counter(observed=len(footage))
    used = [
        one.id
        for seen in here.seen_of("/cameras/a")
        for one in seen.inputs
        if one.modality == "caption" and not one.carried
    ]
    assert len(used) == len(set(used)) == 10


def test_captions_that_no_window_can_use_any_more_are_late(play: MakePlay) -> None:
    here = play()
    footage = camera(
        "/cameras/a", range(40), captioned=9.5
    )  # beyond 5 s, grace and a clip's second
    here.append(footage, until=52)
    ends = here.finish()
    assert ends["late"] >= 8
    assert ends.total() == len(footage)
