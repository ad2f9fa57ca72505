"""An alert is a labelled event's where it says something new while the event lasts."""

from __future__ import annotations

import pytest

from tests.report.builders import at, label, message
from worker.core.messages import Alert
from worker.report.model import LabelOutcome, LabelSpan
from worker.report.scorecard import AlertLife, belongs, label_of, lives, outcomes

LAWN, ROAD = "/cameras/lawn", "/cameras/road"
EVENT = label(10, 20)


def life(*messages: Alert) -> AlertLife:
    (found,) = lives(messages, {LAWN: at(60), ROAD: at(60)})
    return found


def outcome_of(event: LabelSpan, *messages: Alert) -> LabelOutcome:
    """Return what becomes of one event on the lawn."""
    (found,) = outcomes(lives(messages, {LAWN: at(60), ROAD: at(60)}), {LAWN: (event,)})
    return found


def test_messages_of_one_alert_are_one_life_in_their_own_order() -> None:
    opened, updated, closed = message(5), message(7, "update", 1), message(9, "close", 2)
    found = life(closed, opened, updated)
    assert found.messages == (opened, updated, closed)
    assert found.opening is opened


def test_lives_come_in_the_order_in_which_they_open() -> None:
    later, road, lawn = (
        message(8, alert="b"),
        message(5, alert="c", source=ROAD),
        message(5, alert="a"),
    )
    found = lives([later, road, lawn], {LAWN: at(60), ROAD: at(60)})
    assert [each.opening for each in found] == [lawn, road, later]


def test_a_closed_alert_ends_with_its_last_message_and_an_open_one_with_its_source() -> None:
    closed = life(message(5), message(9, "close", 1))
    still_open = life(message(5), message(9, "update", 1))
    assert (closed.closed, closed.end) == (True, at(9))
    assert (still_open.closed, still_open.end) == (False, at(60))


def test_each_reason_is_named_once_in_the_order_in_which_it_came_up() -> None:
    found = life(
        message(5, reasons=("visual",)), message(6, "update", 1, reasons=("audio", "visual"))
    )
    assert found.reasons == ("visual", "audio")


@pytest.mark.parametrize(
    ("end", "expected"), [(10, False), (10.1, True), (20, True), (23, True), (23.1, False)]
)
def test_a_message_belongs_from_after_the_start_until_three_seconds_after_the_end(
    end: float, expected: bool
) -> None:
    assert belongs(message(end), LAWN, EVENT) is expected


def test_a_message_belongs_to_events_of_its_own_source_only() -> None:
    assert not belongs(message(12), ROAD, EVENT)


def test_a_closing_message_says_nothing_new() -> None:
    assert belongs(message(12, "update", 1), LAWN, EVENT)
    assert not belongs(message(12, "close", 1), LAWN, EVENT)


def test_an_alert_is_that_of_the_first_event_which_any_of_its_messages_belongs_to() -> None:
    labels = {ROAD: (label(4, 6),), LAWN: (EVENT, label(20, 30, kind="other"))}
    assert label_of(life(message(5), message(12, "update", 1)), labels) is EVENT


def test_an_alert_without_an_event_is_a_false_alarm() -> None:
    labels = {LAWN: (EVENT,)}
    assert label_of(life(message(5), message(12, "close", 1)), labels) is None
    assert label_of(life(message(12, source=ROAD)), labels) is None


def test_an_event_that_an_alert_speaks_of_is_a_hit_and_the_first_message_gives_the_time() -> None:
    found = outcome_of(EVENT, message(5), message(12.5, "update", 1), message(14, "update", 2))
    assert found.hit
    assert found.seconds_to_detect == 2.5
    assert (found.kind, found.source, found.start, found.end) == (
        "people_on_lawn",
        LAWN,
        at(10),
        at(20),
    )


def test_the_earliest_of_several_alerts_detects() -> None:
    found = outcome_of(EVENT, message(15, alert="b"), message(11, alert="a"))
    assert found.seconds_to_detect == 1


@pytest.mark.parametrize(
    "messages",
    [
        (),
        (message(9),),
        (message(24),),
        (message(12, source=ROAD),),
        (message(9), message(12, "close", 1)),
    ],
    ids=["no alert", "before", "after", "another camera", "only closed while it lasts"],
)
def test_an_event_that_no_alert_speaks_of_is_missed(messages: tuple[Alert, ...]) -> None:
    found = outcome_of(EVENT, *messages)
    assert not found.hit
    assert found.seconds_to_detect is None
    assert found.right_reason is None


@pytest.mark.parametrize(
    ("modality", "reason"), [("frame", "visual"), ("audio", "audio"), ("caption", "text")]
)
def test_the_reason_is_right_where_it_is_the_labelled_modality(modality: str, reason: str) -> None:
    event = label(10, 20, modality=modality)
    assert outcome_of(event, message(12, reasons=("fused", reason))).right_reason is True
    assert outcome_of(event, message(12, reasons=("fused",))).right_reason is False


def test_a_right_reason_that_comes_after_the_detection_is_too_late() -> None:
    first, second = message(12, reasons=("audio",)), message(13, "update", 1, reasons=("visual",))
    assert outcome_of(EVENT, first, second).right_reason is False


def test_a_reason_from_before_the_event_does_not_count() -> None:
    before, first = message(9, reasons=("visual",)), message(12, "update", 1, reasons=("audio",))
    assert outcome_of(EVENT, before, first).right_reason is False


def test_outcomes_of_all_sources_come_in_order_of_time() -> None:
    labels = {LAWN: (label(30, 40), EVENT), ROAD: (label(10, 12), label(20, 22))}
    found = outcomes([life(message(12, source=ROAD))], labels)
    assert [(each.source, each.start, each.hit) for each in found] == [
        (LAWN, at(10), False),
        (ROAD, at(10), True),
        (ROAD, at(20), False),
        (LAWN, at(30), False),
    ]
