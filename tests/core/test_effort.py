"""The ladder of overload: climbed while waits grow, descended after a calm time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from worker.core.effort import CALM, LADDER, LONGEST_CALM, LOOK, Ladder, Step
from worker.core.moment import ClosedBy, Effort, Moment
from worker.core.rfc3339 import seconds

USUAL = seconds(3)
SECOND = seconds(1)


def steps(waits: Iterable[float], ladder: Ladder | None = None) -> list[Step]:
    """Return the step after each look; looks are a second apart, waits in seconds."""
    found, climbed = [], ladder or Ladder(USUAL)
    for number, wait in enumerate(waits):
        climbed.look(seconds(wait), number * SECOND)
        found.append(climbed.step)
    return found


def moment(window: int, source: str = "/cameras/a") -> Moment:
    return Moment(source, window * SECOND, (window + 1) * SECOND, (), ClosedBy.WATERMARK)


def test_growing_waits_climb_a_step_with_each_look_up_to_the_last_one() -> None:
    assert steps([2.6, 2.8, 3.0, 3.2, 3.4, 3.6, 3.8, 4.0, 4.2, 4.4, 4.6]) == [
        *[Step.FULL] * 3,
        *LADDER[1:],
        *LADDER[-1:],
    ]


def test_waits_that_grow_by_half_of_the_time_climb_two_steps_at_once() -> None:
    assert steps([2, 2.5, 3, 3.5, 4, 4.5, 5]) == [*[Step.FULL] * 3, *LADDER[2::2], LADDER[-1]]


def test_who_catches_up_gives_up_nothing_however_far_behind() -> None:
    assert set(steps(range(10_000, 0, -1))) == {Step.FULL}


def test_a_step_that_helps_is_enough() -> None:
    assert steps([3.8, 4, 3.9, 3.8, 3.5, 3.4])[-1] is Step.FEWER_FRAMES


def test_calm_leads_down_one_step_at_a_time() -> None:
    found = steps([4, 4, 4, 4, *[0] * 60])
    assert found[3] is Step.FRAMES_BY_TURNS
    down = [(step, len(list(run))) for step, run in groupby(found[4:])]
    usual = CALM // SECOND
    assert down[:3] == [
        (Step.FRAMES_BY_TURNS, usual),
        (Step.ONE_FRAME, usual),
        (Step.FEWER_FRAMES, usual),
    ]
    assert down[3][0] is Step.FULL


def test_a_step_down_that_was_too_early_is_tried_again_after_twice_the_time() -> None:
    waits, calm = [4] * 9, CALM // SECOND  # to the last step
    for times in (1, 2, 4, 8, 8):
        waits += [0] * (times * calm + 1) + [4, 4]  # down, and up again
    found = steps([*waits, *[0] * 400])
    runs = [(step, len(list(run))) for step, run in groupby(found)]
    tops = [length // calm for step, length in runs if step is Step.CAPTION_ALONE]
    assert tops[1:-1] == [2, 4, 8, 8]
    down = [length for _, length in runs[-7:-1]]  # from the step below the last one
    longest = LONGEST_CALM // SECOND
    assert down == [longest, longest // 2, longest // 4, calm, calm, calm]
    assert found[-1] is Step.FULL


def test_a_rush_hours_after_the_last_one_finds_the_ladder_as_it_was_at_first() -> None:
    once = [0, 4, 4, *[0] * 60]
    found = steps([*once, *[0] * 3600, *once])
    assert found[-len(once) :] == found[: len(once)]


def test_a_wait_between_short_and_long_changes_nothing() -> None:
    climbed = steps([4, 4, *[2] * 300])
    assert climbed[-1] is Step.FEWER_FRAMES


def test_looks_that_follow_closely_count_as_one() -> None:
    ladder = Ladder(USUAL)
    for number in range(1000):
        ladder.look(seconds(4) + number, number * LOOK // 1000)
    assert ladder.step is Step.FULL


def test_switched_off_it_stays_at_the_bottom() -> None:
    assert set(steps(range(100), Ladder(None))) == {Step.FULL}


def test_it_is_strained_before_it_climbs_and_until_it_is_down_again() -> None:
    ladder = Ladder(USUAL)
    steps([0, 1], ladder)
    assert not ladder.is_strained
    steps([0, 1, 2], ladder)
    assert (ladder.step, ladder.is_strained) == (Step.FULL, True)
    steps([4, 4, 1], ladder)
    assert (ladder.step, ladder.is_strained) == (Step.FEWER_FRAMES, True)
    steps([0] * 40, ladder)
    assert (ladder.step, ladder.is_strained) == (Step.FULL, False)


def test_who_catches_up_is_not_strained() -> None:
    ladder = Ladder(USUAL)
    steps(range(1000, 500, -1), ladder)
    assert not ladder.is_strained


def test_under_strain_there_is_more_to_leave_out_until_no_picture_is_encoded() -> None:
    assert not Ladder(USUAL).may_leave_out_more  # all is well
    ladder = Ladder(USUAL)
    steps([0, 1, 2], ladder)
    known = {}
    for _ in LADDER:
        known[ladder.step] = ladder.may_leave_out_more
        steps([4, 4], ladder)
    assert [step for step in LADDER if not known[step]] == list(LADDER[4:])


@given(st.lists(st.floats(0, 100), max_size=80))
def test_it_climbs_by_two_steps_at_most_and_descends_by_one(waits: list[float]) -> None:
    places = [LADDER.index(step) for step in steps(waits)]
    assert all(-1 <= b - a <= 2 for a, b in itertools.pairwise(places))


def test_by_turns_each_source_has_its_frame_encoded_every_second_moment() -> None:
    ladder = Ladder(USUAL)
    steps([4] * 4, ladder)
    assert ladder.step is Step.FRAMES_BY_TURNS
    efforts = [ladder.effort(moment(window), has_alert=False) for window in range(6)]
    assert set(efforts[::2]) | set(efforts[1::2]) == {Effort.ONE_FRAME, Effort.NO_FRAME_ENCODER}
    assert len(set(efforts[::2])) == len(set(efforts[1::2])) == 1
    busy = [ladder.effort(moment(window), has_alert=True) for window in range(6)]
    assert set(busy) == {Effort.ONE_FRAME}


def test_by_turns_not_all_sources_have_their_turn_at_once() -> None:
    ladder = Ladder(USUAL)
    steps([4] * 4, ladder)
    efforts = [ladder.effort(moment(0, f"/cameras/{n}"), has_alert=False) for n in range(100)]
    assert 30 < efforts.count(Effort.ONE_FRAME) < 70


def test_on_the_last_steps_pictures_are_for_sources_with_an_alert_alone() -> None:
    ladder = Ladder(USUAL)
    steps([4] * 6, ladder)
    assert ladder.step is Step.NO_PICTURE
    efforts = [ladder.effort(moment(0), has_alert=has_alert) for has_alert in (False, True)]
    assert efforts == [Effort.NO_PICTURE, Effort.NO_FRAME_ENCODER]


def test_then_every_second_moment_without_an_alert_has_no_sound_and_at_last_none_has() -> None:
    ladder = Ladder(USUAL)
    steps([4] * 7, ladder)
    efforts = [ladder.effort(moment(window), has_alert=False) for window in range(6)]
    assert {efforts[0], efforts[1]} == {Effort.NO_PICTURE, Effort.CAPTION_ALONE}
    assert efforts == efforts[:2] * 3
    steps([4] * 3, ladder)
    last = {ladder.effort(moment(window), has_alert=False) for window in range(6)}
    assert last == {Effort.CAPTION_ALONE}
    assert ladder.effort(moment(0), has_alert=True) is Effort.NO_FRAME_ENCODER
