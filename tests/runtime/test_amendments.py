"""Events that were set aside and are sent again: what becomes of them, and of what was there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.runtime.builders import Member, World, config, endings_of, event, footage, picture
from worker.core.messages.redrive import redrive_headers
from worker.core.ports import Output
from worker.feed.events import to_output

QUICK = {"scoring__calibration_moments": 20, "scoring__false_alarms_per_day": 21_000}


@pytest.fixture(name="here")
def _here() -> Iterator[World]:
    world = World(config(**QUICK))
    yield world
    world.close()


def send_again(here: World, topic: str) -> None:
    """Put back what a topic holds, as the command does."""
    for record in here.log.read_all(topic):
        kind = "late" if topic == here.settings.topics.late_events else "dead-letter"
        headers = redrive_headers(record.headers, kind)  # type: ignore[arg-type]  # one of the two
        here.append_output(Output("frames", record.key, record.value, headers))


def let_pass(here: World, member: Member) -> None:
    """Let the member decide and commit everything that is in the log."""
    member.run()
    here.fall_silent()
    member.run()


def settle(here: World) -> None:
    member = here.join()
    let_pass(here, member)
    member.leave()


def test_a_late_event_that_is_sent_again_amends_its_observation(here: World) -> None:
    here.append([*footage(60), event("frame", 3.4, payload=picture(200))])
    settle(here)
    before, alerts = here.observations(), len(here.values("alerts"))
    send_again(here, "late-events")
    settle(here)
    *same, amendment = here.observations()
    assert [one.observation_id for one in same] == [one.observation_id for one in before]
    (amended,) = [one for one in before if one.window_start == amendment.window_start]
    assert amendment.amends == amended.observation_id != amendment.observation_id
    assert amendment.assessment.p_value is not None
    assert amendment.number == before[-1].number  # not learned,
    assert amendment.decision.kind == "none"  # and not decided about
    assert len(here.values("alerts")) == alerts
    assert endings_of(here)["late"] == 1


def test_sent_again_twice_it_amends_twice_under_different_ids(here: World) -> None:
    here.append([*footage(10), event("frame", 1.4)])
    settle(here)
    for _ in range(2):
        send_again(here, "late-events")
    settle(here)
    first, second = here.observations()[-2:]
    assert first.amends == second.amends is not None
    assert first.observation_id != second.observation_id


def test_before_its_window_closes_it_is_an_event_like_any_other(here: World) -> None:
    first = to_output(event("frame", 0.4), here.inputs)
    here.append_output(replace(first, headers=redrive_headers(first.headers, "dead-letter")))
    here.append([event("audio", 0.5)])
    settle(here)
    (one,) = here.observations()
    assert one.amends is None
    assert [each.modality.value for each in one.inputs] == ["frame", "audio"]


def test_what_was_put_back_and_fails_again_does_not_count_towards_the_limits(here: World) -> None:
    here.settings = config(limits__max_dead_letters_in_a_row=3)
    garbage = Output("frames", None, b"garbage")
    for _ in range(2):
        here.append_output(garbage)
    settle(here)
    for _ in range(2):
        send_again(here, here.settings.topics.dead_letters)
    member = here.join()
    let_pass(here, member)
    assert len(here.values("dead-letters")) == 6
    assert member.worker.exceeded is None
    for _ in range(3):
        here.append_output(garbage)
    let_pass(here, member)
    assert member.worker.exceeded is not None
