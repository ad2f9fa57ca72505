"""How much of each Moment is worked on: less, step by step, while records wait for ever longer.

Pictures are given up first, since their encoder costs most, then every second Moment's sound, then
all sound; captions are kept whole.
"""

from __future__ import annotations

import zlib
from enum import StrEnum

from worker.core.moment import Effort, Moment
from worker.core.rfc3339 import seconds

LOOK = seconds(1)  # between two looks at how long records wait
LEAST_LONG = seconds(0.6)  # no shorter wait is long: the merge of topics alone takes 0.15 s
CALM = seconds(5)  # of short waits, after which the step before is tried again,
LONGEST_CALM = seconds(40)  # up to which it gets twice as long where that was too early


class Step(StrEnum):
    """The steps of the ladder, from the bottom.

    Sources with an alert are spared by the steps by turns, and keep a picture and their sound on
    the last three.
    """

    FULL = "full"
    FEWER_FRAMES = "fewer_frames"
    ONE_FRAME = "one_frame"
    FRAMES_BY_TURNS = "frames_by_turns"
    NO_FRAME_ENCODER = "no_frame_encoder"
    NO_PICTURE = "no_picture"
    SOUND_BY_TURNS = "sound_by_turns"
    CAPTION_ALONE = "caption_alone"


LADDER = tuple(Step)
_OF_STEP = {
    Step.FULL: Effort.FULL,
    Step.FEWER_FRAMES: Effort.FEWER_FRAMES,
    Step.ONE_FRAME: Effort.ONE_FRAME,
    Step.NO_FRAME_ENCODER: Effort.NO_FRAME_ENCODER,
    Step.NO_PICTURE: Effort.NO_PICTURE,
    Step.CAPTION_ALONE: Effort.CAPTION_ALONE,
}
_BARE = (Step.NO_PICTURE, Step.SOUND_BY_TURNS, Step.CAPTION_ALONE)  # of sources without an alert


class Ladder:
    """Climbs while waits are long and do not get shorter, and descends after a calm time.

    A wait is long above `usual`, and short below half of it, in microseconds; None: it is never
    long. Two steps are taken at once where it gets longer by half of the time that passes: then
    twice as much comes as can be judged. A worker that catches up, however far behind it is, stays
    where it is. A step down that has to be taken back soon was too early: the next one takes twice
    the time, and the one after a step that held half of it. It `is_strained` above the lowest step,
    and where waits that are not short do not get shorter.
    """

    def __init__(self, usual: int | None) -> None:
        self.step = Step.FULL
        self.is_strained = False
        self._usual = usual
        self._looked: tuple[int, int] | None = None  # at what time, at what wait
        self._calm_since: int | None = None
        self._calm = CALM
        self._descended: int | None = None  # when, if that was its last move

    def look(self, wait: int, now: int) -> None:
        """Note how long the oldest Moment that is not judged has waited at `now`; microseconds."""
        if self._usual is None:
            return
        if self._looked is None or now < self._looked[0]:
            self._looked = now, wait
        elif now - self._looked[0] >= LOOK:
            self._move(wait, now, self._looked, self._usual)
            self._looked = now, wait

    @property
    def may_leave_out_more(self) -> bool:
        """Whether waits grow or may, while there are pictures to be left out."""
        return self.is_strained and self.step not in (Step.NO_FRAME_ENCODER, *_BARE)

    def effort(self, moment: Moment, *, has_alert: bool) -> Effort:
        """Return what is done of a Moment; `has_alert` says that its source has an open alert."""
        if has_alert and self.step in _BARE:
            return Effort.NO_FRAME_ENCODER
        match self.step:
            case Step.FRAMES_BY_TURNS:
                is_spared = has_alert or _has_turn(moment)
                return Effort.ONE_FRAME if is_spared else Effort.NO_FRAME_ENCODER
            case Step.SOUND_BY_TURNS:
                return Effort.NO_PICTURE if _has_turn(moment) else Effort.CAPTION_ALONE
            case step:
                return _OF_STEP[step]

    def _move(self, wait: int, now: int, looked: tuple[int, int], usual: int) -> None:
        then, before = looked
        place, growth = LADDER.index(self.step), wait - before
        grows = growth >= 0
        if wait >= usual // 2:
            self._calm_since = None
            if wait > usual and grows:
                self._climb(place + (2 if 2 * growth >= now - then else 1), now)
        elif self._calm_since is None:
            self._calm_since = now
        elif place and now - self._calm_since >= self._calm:
            if self._descended is not None:
                self._calm = max(CALM, self._calm // 2)
            self.step, self._descended, self._calm_since = LADDER[place - 1], now, now
        self.is_strained = self.step is not Step.FULL or (wait >= usual // 2 and grows)

    def _climb(self, place: int, now: int) -> None:
        if self._descended is not None:
            is_soon = now - self._descended < LONGEST_CALM
            self._calm = min(2 * self._calm, LONGEST_CALM) if is_soon else CALM
        self.step, self._descended = LADDER[min(place, len(LADDER) - 1)], None


def _has_turn(moment: Moment) -> bool:
    """Tell whether it is one of every second Moment of its source; not all sources' at once."""
    window = moment.start // max(1, moment.end - moment.start)
    return (window + zlib.crc32(moment.source.encode())) % 2 == 0
