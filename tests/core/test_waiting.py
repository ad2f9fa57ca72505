"""What waits for its Moment: in groups, none larger than a message can list."""

from __future__ import annotations

import pytest

from tests.core.builders import event, rules
from worker.core import waiting as waiting_module
from worker.core.events import Event
from worker.core.message_sizes import listed_bytes
from worker.core.moment import Closed, Excess
from worker.core.pairing import Pairing
from worker.core.rfc3339 import seconds
from worker.core.waiting import Waiting


@pytest.fixture(autouse=True)
def _three_events_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = max(listed_bytes(one) for one in crowd("frame") + crowd("caption"))
    monkeypatch.setattr(waiting_module, "MAX_LISTED_BYTES", 3 * largest)


def crowd(modality: str, correlation: str | None = None) -> list[Event]:
    names = [f"{modality}-{n}"[-9:] for n in range(5)]
    return [event(modality, 0.1, name=name, correlation=correlation) for name in names]


@pytest.mark.parametrize(
    ("modality", "correlation"), [("frame", None), ("caption", None), ("frame", "visit")]
)
def test_a_group_takes_no_more_events_than_a_message_can_list(
    modality: str, correlation: str | None
) -> None:
    waiting = Waiting(rules())
    for one in crowd(modality, correlation):
        if waiting.has_room_for(one):
            waiting.keep(one)
    assert len(list(waiting)) == 3
    elsewhere = event(modality, 5, correlation="other" if correlation else None)
    assert waiting.has_room_for(elsewhere) is (modality != "caption")  # those are one group


def test_a_group_that_was_taken_has_room_again() -> None:
    waiting = Waiting(rules())
    for one in crowd("frame")[:3]:
        waiting.keep(one)
    assert [one.id for one in waiting.take_window(0)] == ["frame-0", "frame-1", "frame-2"]
    assert waiting.has_room_for(event("frame", 0.2))
    assert list(waiting) == []


def test_deadlines_come_in_order_whatever_was_kept_and_taken_in_between() -> None:
    waiting = Waiting(rules())
    for one in (
        event("frame", 7),
        event("frame", 5, name="a", correlation="visit"),
        event("frame", 3),
        event("audio", 2.5, name="b", correlation="visit"),  # it began earlier than was known
    ):
        waiting.keep(one)
    assert waiting.first_due() == (seconds(3.5), "visit")
    assert waiting.modalities("visit") == {"frame", "audio"}
    assert len(waiting.take_correlated("visit")) == 2
    assert waiting.first_due() == (seconds(4), "")
    waiting.take_window(seconds(3))
    assert waiting.first_due() == (seconds(8), "")
    waiting.take_window(seconds(7))
    assert waiting.first_due() is None


def test_captions_are_taken_up_to_a_time_and_the_others_keep_their_place() -> None:
    waiting = Waiting(rules())
    first, second = event("caption", 1, name="1"), event("caption", 2, name="2")
    waiting.keep(first)
    waiting.keep(second)
    assert waiting.take_captions(seconds(2)) == [first]
    assert (first in waiting, second in waiting, waiting.captions) == (False, True, [second])
    assert waiting.take_captions() == [second]


def test_what_is_too_much_moves_no_front_and_its_window_closes_without_it() -> None:
    pairing = Pairing(rules("frame"))
    outcomes = [outcome for one in crowd("frame") for outcome in pairing.add(one)]
    assert [outcome.event.id for outcome in outcomes if isinstance(outcome, Excess)] == [
        "frame-3",
        "frame-4",
    ]
    outcomes = list(pairing.add(event("frame", 3)))
    (closed,) = [outcome for outcome in outcomes if isinstance(outcome, Closed)]
    assert [one.id for one in closed.moment.events] == ["frame-0", "frame-1", "frame-2"]
