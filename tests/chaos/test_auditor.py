"""The auditor finds nothing in a good log, and each fault in a bad one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from tests.chaos.auditor import Finding, audit
from tests.chaos.story import Offsets, Place, Story, story_of
from tests.schemas.files import load_example
from worker.config import TopicSettings
from worker.core.events import Modality, Record
from worker.core.messages import (
    Alert,
    InputRef,
    Observation,
    dead_letter_headers,
    late_headers,
    observation_id,
    read_alert,
    read_observation,
    to_json,
)
from worker.core.moment import ClosedBy
from worker.core.ports import TopicPartition
from worker.core.rfc3339 import MICROSECONDS
from worker.errors import Reason

SOURCE = "/cameras/a"
FRAMES = TopicPartition("frames", 0)
PLACES: list[Place] = [("frames", 0, offset) for offset in range(6)]
OFFSETS = Offsets(committed={FRAMES: 6}, ends={FRAMES: 6}, looks=9, partitions=3)

ENDS = "every input ends in exactly one place"
IDS = "observation ids are unique"
GAPS = "alert messages are unique, without gaps"
OBSERVED = "each alert message has its observation"
ORDER = "observations of a source are in order"
CONTENTS = "contents equal the reference's"
JUDGEMENTS = "judgements equal the reference's"
ALERTS = "alerts equal the reference's"
ASIDE = "late events and dead letters equal the reference's"
COMMITTED = "all inputs are committed at rest"
OPEN = "no transaction is open at rest"
BACK = "committed offsets never go back"


def ref(offset: int, *, carried: bool = False) -> InputRef:
    return InputRef(Modality.FRAME, "frames", 0, offset, f"frame-{offset}", 0, carried)


def observation(second: int, *inputs: InputRef, alert_id: str | None = None) -> Observation:
    example = read_observation(json.dumps(load_example("observation.full")).encode())
    start, end = second * MICROSECONDS, (second + 1) * MICROSECONDS
    return replace(
        example,
        observation_id=observation_id(SOURCE, start, end, None),
        source=SOURCE,
        window_start=start,
        window_end=end,
        correlation_id=None,
        inputs=inputs,
        decision=replace(example.decision, alert_id=alert_id),
    )


def alert(sequence: int, second: int) -> Alert:
    example = read_alert(json.dumps(load_example("alert.open")).encode())
    named = observation(second).observation_id
    evidence = replace(example.evidence, observation_id=named)
    return replace(example, alert_id="a1", sequence=sequence, evidence=evidence)


def good() -> Story:
    """Return three Moments, a late event, a dead letter, and a duplicate of the first frame."""
    names = ("0", "1", "2", "3", "4", "0")
    return Story(
        inputs={
            place: (SOURCE.encode(), b"multimodal.frame.v1", name.encode())
            for place, name in zip(PLACES, names, strict=True)
        },
        observations=[
            observation(0, ref(0), alert_id="a1"),
            observation(1, ref(1), ref(0, carried=True), alert_id="a1"),
            observation(2, ref(2)),
        ],
        alerts=[alert(0, 0), alert(1, 1)],
        late=[PLACES[3]],
        dead=[PLACES[4]],
    )


def violated(live: Story, offsets: Offsets = OFFSETS) -> set[str]:
    return {each.invariant for each in audit(live, good(), offsets) if not each.holds}


def changed(story: Story, place: int, change: Callable[[Observation], Observation]) -> Story:
    seen = list(story.observations)
    seen[place] = change(seen[place])
    return replace(story, observations=seen)


def judged(p_value: float) -> Callable[[Observation], Observation]:
    return lambda seen: replace(seen, assessment=replace(seen.assessment, p_value=p_value))


def test_a_good_log_violates_nothing_and_everything_was_looked_at() -> None:
    findings = audit(good(), good(), OFFSETS)
    assert not [each for each in findings if not each.holds]
    assert all(each.looked_at for each in findings)


BAD: dict[str, tuple[Story, set[str]]] = {
    "an input is nowhere": (
        replace(good(), late=[]),
        {ENDS, ASIDE},
    ),
    "a duplicate's original is nowhere": (
        changed(good(), 0, lambda seen: replace(seen, inputs=(ref(1),))),
        {ENDS, CONTENTS},
    ),
    "an input is late and dead": (
        replace(good(), dead=[PLACES[4], PLACES[3]]),
        {ENDS, ASIDE},
    ),
    "a dead letter stands twice": (
        replace(good(), dead=[PLACES[4], PLACES[4]]),
        {ENDS},
    ),
    "an output names an input that was never sent": (
        replace(good(), late=[PLACES[3], ("frames", 0, 99)]),
        {ENDS, ASIDE},
    ),
    "a Moment is told twice": (
        replace(good(), observations=[*good().observations, good().observations[2]]),
        {ENDS, IDS, ORDER},
    ),
    "a Moment is told twice, the second time without its events": (
        replace(good(), observations=[*good().observations, observation(2)]),
        {IDS, ORDER, CONTENTS},
    ),
    "Moments are in the wrong order": (
        replace(good(), observations=good().observations[::-1]),
        {ORDER},
    ),
    "a Moment lacks an event, which is late instead": (
        replace(
            changed(good(), 2, lambda seen: replace(seen, inputs=())), late=[PLACES[3], PLACES[2]]
        ),
        {CONTENTS, ASIDE},
    ),
    "a Moment was closed by something else": (
        changed(good(), 1, lambda seen: replace(seen, closed_by=ClosedBy.SILENCE)),
        {CONTENTS},
    ),
    "a carried caption was forgotten": (
        changed(good(), 1, lambda seen: replace(seen, inputs=(ref(1),))),
        {CONTENTS},
    ),
    "a p-value differs": (changed(good(), 2, judged(0.123)), {JUDGEMENTS}),
    "an alert message stands twice": (
        replace(good(), alerts=[alert(0, 0), alert(1, 1), alert(1, 1)]),
        {GAPS},
    ),
    "an alert begins with its second message": (
        replace(good(), alerts=[alert(1, 1)]),
        {GAPS, ALERTS},
    ),
    "an alert's messages are in the wrong order": (
        replace(good(), alerts=[alert(1, 1), alert(0, 0)]),
        {GAPS},
    ),
    "an alert's observation is not there": (
        replace(good(), alerts=[alert(0, 0), alert(1, 5)]),
        {OBSERVED},
    ),
    "an alert's observation does not know it": (
        replace(good(), alerts=[alert(0, 0), alert(1, 2)]),
        {OBSERVED},
    ),
    "an alert is missing": (replace(good(), alerts=[]), {ALERTS}),
}


@pytest.mark.parametrize(("live", "expected"), BAD.values(), ids=BAD)
def test_a_bad_log_violates_just_what_it_breaks(live: Story, expected: set[str]) -> None:
    assert violated(live) == expected


BAD_OFFSETS: dict[str, tuple[Offsets, str]] = {
    "records are not committed": (replace(OFFSETS, committed={FRAMES: 5}), COMMITTED),
    "nothing is committed": (replace(OFFSETS, committed={}), COMMITTED),
    "more is committed than there is": (replace(OFFSETS, committed={FRAMES: 7}), COMMITTED),
    "a transaction is open": (replace(OFFSETS, open={FRAMES: (3, 6)}), OPEN),
    "an offset went back": (replace(OFFSETS, went_back=["frames-0 from 5 to 3"]), BACK),
}


@pytest.mark.parametrize(("offsets", "expected"), BAD_OFFSETS.values(), ids=BAD_OFFSETS)
def test_bad_offsets_are_found(offsets: Offsets, expected: str) -> None:
    assert violated(good(), offsets) == {expected}


def test_a_p_value_may_differ_by_the_rounding_of_floats() -> None:
    p_value = good().observations[2].assessment.p_value
    assert p_value is not None
    assert violated(changed(good(), 2, judged(p_value + 1e-10))) == set()
    assert violated(changed(good(), 2, judged(p_value + 1e-8))) == {JUDGEMENTS}


def test_a_correlated_moment_may_stand_anywhere() -> None:
    early = replace(observation(0), observation_id="c", correlation_id="pair", window_end=5)
    live = replace(good(), observations=[*good().observations, early])
    assert violated(live) == {CONTENTS, JUDGEMENTS}  # for the reference has no such one


def test_violations_are_counted_and_the_first_ones_told() -> None:
    finding = Finding(ENDS, 100, tuple(f"number {number}" for number in range(30)))
    first, *rest = finding.lines()
    assert first == f"FAIL {ENDS}: 100 looked at, 30 violations"
    assert len(rest) == 5 and "number 0" in rest[0]


def test_a_story_is_read_from_the_records_of_the_topics() -> None:
    topics, sent = TopicSettings(), good()
    headers = (("ce_source", SOURCE.encode()), ("ce_type", b"t"), ("ce_id", b"1"))
    inputs = [record("frames", number, headers) for number in range(3)]
    late = record("late-events", 0, late_headers(inputs[1], 0))
    dead = dead_letter_headers(inputs[2], "decode", Reason.NULL_VALUE, "no value", "w")
    found = story_of(
        {
            topics.frames: inputs,
            topics.captions: [],
            topics.audio: [record("audio", 0, ())],
            topics.observations: values("observations", [to_json(o) for o in sent.observations]),
            topics.alerts: values("alerts", [to_json(each) for each in sent.alerts]),
            topics.late_events: [late],
            topics.dead_letters: [record("dead-letters", 0, dead)],
        },
        topics,
    )
    assert found.inputs["frames", 0, 1] == (SOURCE.encode(), b"t", b"1")
    assert found.inputs["audio", 0, 0] is None
    assert found.late == [("frames", 0, 1)] and found.dead == [("frames", 0, 2)]
    assert [o.observation_id for o in found.observations] == [
        o.observation_id for o in sent.observations
    ]
    assert [each.message_id for each in found.alerts] == ["a1-0", "a1-1"]


def record(
    topic: str, offset: int, headers: tuple[tuple[str, bytes | None], ...], value: bytes = b"x"
) -> Record:
    return Record(topic, 0, offset, 0, SOURCE.encode(), value, headers)


def values(topic: str, messages: Sequence[bytes]) -> list[Record]:
    return [record(topic, number, (), value) for number, value in enumerate(messages)]
