"""Who counts as ended by what it had announced, over the in-memory log."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.runtime.builders import GatedEncoder, Member, World, encoders, endings_of, event
from worker.core.caution import TRIES, Attempts
from worker.core.events import Modality
from worker.core.rfc3339 import seconds
from worker.runtime.recoveries import VERDICT_AFTER
from worker.runtime.state_records import read_stored

MakeWorld = Callable[..., World]
STEPS = 200  # more than anything here needs
FRAMES = [event("frame", at) for at in range(6)]


def said(here: World) -> Attempts:
    """Return what the last commit says of processes that may have been ended."""
    records = here.log.read_all(here.settings.topics.snapshots)
    index = read_stored((record.key or b"", record.value) for record in records).index
    return Attempts() if index is None else index.attempts


def until(member: Member, condition: Callable[[], bool]) -> None:
    for _ in range(STEPS):
        if condition():
            return
        member.worker.step()
    raise AssertionError("it did not come to pass")


def end(here: World, *, process: str = "") -> None:
    """Let a process end over the first Moment, once it is announced that it is worked on."""
    gated = GatedEncoder(Modality.FRAME)
    stuck, before = here.join(encoders(frame=gated), process=process), said(here)
    until(stuck, lambda: said(here) != before and bool(stuck.inference.in_flight))
    stuck.log.close()
    gated.gate.set()
    stuck.inference.close()


def leave(here: World) -> None:
    """Let a process announce the first Moment, and stop before it works on it."""
    member, before = here.join(), said(here)
    until(member, lambda: said(here) != before)
    assert not member.inference.in_flight
    member.leave()


def go_on(here: World, member: Member) -> None:
    """Let a worker do all that is left."""
    member.run()
    here.fall_silent()
    member.run()
    member.leave()


@pytest.mark.parametrize("ended", [0, 1, TRIES])
def test_who_leaves_cleanly_takes_its_announcement_back(world: MakeWorld, ended: int) -> None:
    here = world()
    here.append(FRAMES)
    for _ in range(ended):
        end(here)
    before = said(here)
    for _ in range(TRIES + 1):
        leave(here)
        assert said(here) == before
    assert len(before.by) == max(0, ended - 1), "the first one had not announced what it was at"
    go_on(here, here.join())
    assert endings_of(here) == {"observed": 6}


def test_a_leave_says_nothing_where_there_was_nothing_to_take_back(world: MakeWorld) -> None:
    here = world()
    here.append(FRAMES)
    member = here.join()
    member.run()
    member.worker.finish(30)
    units = len(member.outbox.units)
    member.leave()
    assert len(member.outbox.units) == units


def test_what_ended_enough_processes_is_given_up_once_nobody_can_be_back(world: MakeWorld) -> None:
    here = world()
    here.append(FRAMES)
    for _ in range(1 + TRIES):
        end(here)
    member = here.join()
    for _ in range(STEPS):
        member.worker.step()
    assert not member.worker.is_member
    assert not here.values(here.settings.topics.dead_letters)
    here.clock.now += VERDICT_AFTER
    go_on(here, member)
    assert endings_of(here) == {"observed": 5, "error": 1}


def test_who_was_only_halted_and_is_back_in_time_was_not_ended(world: MakeWorld) -> None:
    here = world()
    here.append(FRAMES)
    end(here)
    for process in ("killed", "halted", "also killed"):
        end(here, process=process)
    successor = here.join()
    for _ in range(STEPS):
        successor.worker.step()
    here.clock.now += VERDICT_AFTER - seconds(1)
    back = here.join(process="halted")
    for _ in range(STEPS):
        back.worker.step()
        successor.worker.step()
    here.clock.now += seconds(1)
    for _ in range(STEPS):
        back.worker.step()
        successor.worker.step()
    back.leave()
    go_on(here, successor)
    assert endings_of(here) == {"observed": 6}
