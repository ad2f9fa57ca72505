"""One partition index: what becomes of each record, and of its offset."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runtime.builders import START, config, encoders, event, footage, hum
from worker.core.caution import Care
from worker.core.events import Modality, Record
from worker.core.moment import Moment
from worker.core.ports import CommitUnit, Output, TopicPartition
from worker.core.rfc3339 import seconds
from worker.errors import Reason
from worker.feed.events import FeedEvent, to_output
from worker.pipeline import Pipeline
from worker.runtime import alert_book
from worker.runtime.assemble import build_pipeline, worker_rules
from worker.runtime.judge import Settled
from worker.runtime.recovery import cold_state
from worker.runtime.shard import Shard
from worker.runtime.state_records import IndexState
from worker.runtime.topics import topic_of_modality
from worker.stages import Embedded

SETTINGS = config()
TOPICS = topic_of_modality(SETTINGS)
PARTITIONS = frozenset(TopicPartition(topic, 0) for topic in TOPICS.values())
FOREVER = START + seconds(100_000)


class Desk:
    """A shard with a pipeline beside it, and the next offset of each topic."""

    def __init__(self, **changes: object) -> None:
        settings = config(**changes)
        self.pipeline: Pipeline = build_pipeline(settings, encoders())
        self.rules = worker_rules(settings, self.pipeline, 1, {})
        state = cold_state(
            dict.fromkeys(PARTITIONS, 0), self.rules.recovery, IndexState("mmworker")
        )
        self.shard = Shard("me", Care(), self.rules.shard, self.rules.composer, state)
        self._next = dict.fromkeys(PARTITIONS, 0)
        self._told: list[Output] = []
        self.begin = CommitUnit((), {})  # the one that says that work begins

    def read(self, events: Iterable[FeedEvent | Record], appended: float | None = None) -> None:
        for one in events:
            record = one if isinstance(one, Record) else self.record(one, appended)
            self.shard.push(TopicPartition(record.topic, 0), [record])

    def record(self, one: FeedEvent, appended: float | None = None) -> Record:
        output = to_output(one, TOPICS)
        at = one.time if appended is None else START + seconds(appended)
        partition = TopicPartition(output.topic, 0)
        offset = self._next[partition]
        self._next[partition] += 1
        return Record(output.topic, 0, offset, at, output.key, output.value, output.headers)

    def moments(self, until: int = FOREVER) -> list[Moment]:
        moments = [*self.shard.advance(PARTITIONS, until)]
        if self.shard.wants_commit:  # of its begin, before anything is worked on
            self.begin = self.unit()
            self._told += _outputs(self.begin)
            self.shard.committed()
            moments += self.shard.advance(PARTITIONS, until)
        return moments

    def closed(self, until: int = FOREVER) -> list[Embedded]:
        prepared = [self.pipeline.prepare(moment) for moment in self.moments(until)]
        vectors = {
            key: vector
            for modality, contents in self.pipeline.wanted(prepared).items()
            for key, vector in self.pipeline.encode(modality, contents).items()
        }
        return self.pipeline.fuse(prepared, vectors)

    def settled(self, until: int = FOREVER) -> list[Settled | None]:
        return [self.shard.settle(embedded) for embedded in self.closed(until)]

    def unit(self) -> CommitUnit:
        unit = self.shard.take()
        assert unit is not None
        return unit

    def told(self) -> list[Output]:
        """Return the outputs up to the next unit but for the state."""
        told, self._told = [*self._told, *_outputs(self.unit())], []
        return told

    def topics(self) -> list[str]:
        return [output.topic for output in self.told()]


def _outputs(unit: CommitUnit) -> list[Output]:
    return [output for output in unit.outputs if output.topic != "snapshots"]


def offsets(unit: CommitUnit) -> dict[str, int]:
    return {partition.topic: at.offset for partition, at in unit.offsets.items()}


def test_media_that_cannot_be_decoded_leave_the_moment_and_become_dead_letters() -> None:
    desk = Desk()
    desk.read([event("frame", 0, payload=b"no picture"), event("frame", 0.5), event("audio", 0.6)])
    (settled,) = desk.settled()
    assert settled is not None
    assert [one.time for one in settled.moment.of(Modality.FRAME)] == [START + seconds(0.5)]
    assert desk.topics() == ["dead-letters", "observations"]
    assert desk.shard.outputs.rejections == {("frames", Reason.UNDECODABLE_IMAGE): 1}


def test_a_moment_of_which_nothing_can_be_decoded_makes_no_observation_and_frees_its_offsets() -> (
    None
):
    desk = Desk()
    desk.read([event("frame", 0, payload=b"no picture"), event("audio", 0.6, payload=b"\0")])
    assert desk.settled() == [None]
    unit = desk.unit()
    assert [one.topic for one in unit.outputs if one.topic != "snapshots"] == ["dead-letters"] * 2
    assert offsets(unit) == {"audio": 1, "captions": 0, "frames": 1}


def test_a_carried_caption_that_cannot_be_decoded_is_one_dead_letter_and_carries_nothing() -> None:
    desk = Desk()
    broken = event("caption", 0.2, payload=b"\xff\xfe not text")
    desk.read([*footage(5, captions=False)[:1], broken, *footage(5, captions=False)[1:]])
    settled = desk.settled()
    assert len(settled) == 5
    assert all(one and not one.moment.carried_modalities for one in settled)
    assert desk.topics().count("dead-letters") == 1
    assert desk.shard.outputs.outcomes[Modality.CAPTION, "dead_letter"] == 1


def test_a_carried_caption_holds_its_offset_until_nobody_needs_it_any_more() -> None:
    desk = Desk(pairing__carry_caption_seconds=2)
    stream = footage(9, captions=False)
    desk.read([event("caption", 0.5), *stream[:10]])
    desk.settled(START + seconds(4))
    assert offsets(desk.unit())["captions"] == 0
    desk.read(stream[10:])
    desk.settled(START + seconds(8))
    assert offsets(desk.unit())["captions"] == 1


def test_the_offset_of_a_moment_in_flight_is_not_passed() -> None:
    desk = Desk()
    desk.read(footage(10))
    in_flight = desk.closed(START + seconds(9))
    assert len(in_flight) == 7
    assert offsets(desk.begin) == {"audio": 0, "captions": 0, "frames": 0}
    assert desk.shard.take() is None
    for embedded in in_flight[:3]:
        desk.shard.settle(embedded)
    assert offsets(desk.unit()) == {"audio": 3, "captions": 0, "frames": 3}
    for embedded in in_flight[3:]:
        desk.shard.settle(embedded)
    assert offsets(desk.unit()) == {"audio": 7, "captions": 1, "frames": 7}


def test_nothing_new_is_no_unit_but_a_cold_start_is_one() -> None:
    desk = Desk()
    assert desk.told() == []
    assert desk.shard.take() is None
    desk.read(footage(3))
    desk.settled()
    desk.unit()
    assert desk.shard.take() is None


def test_a_dead_letter_of_the_envelope_keeps_the_record_as_it_is() -> None:
    desk = Desk()
    record = Record("frames", 0, 0, START, b"\xff", b"value", (("x", None), ("x", b"\xff")))
    desk.read([record])
    desk.settled()
    (output,) = desk.told()
    assert (output.key, output.value, output.headers[:2]) == (b"\xff", b"value", record.headers)
    assert dict(output.headers)["mmworker.error.stage"] == b"envelope"


def test_a_dead_letter_that_would_be_too_large_with_its_headers_has_the_digest_only() -> None:
    desk = Desk(limits__max_record_bytes=2048)
    headers = tuple((f"h{place}", bytes(16)) for place in range(70))
    desk.read([Record("frames", 0, 0, START, b"k", bytes(1500), headers)])
    desk.settled()
    (output,) = desk.told()
    assert output.value is None
    assert dict(output.headers)["mmworker.error.value_size"] == b"1500"


def test_a_late_event_keeps_its_record_and_names_what_it_missed() -> None:
    desk = Desk()
    desk.read(footage(8, captions=False))
    late = desk.record(event("frame", 0.5), appended=8)
    desk.read([late])
    desk.settled()
    (output,) = [each for each in desk.unit().outputs if each.topic == "late-events"]
    assert (output.key, output.value) == (late.key, late.value)
    assert output.headers[: len(late.headers)] == late.headers
    assert dict(output.headers)["mmworker.late.watermark"] == b"2025-06-15T15:06:45.000Z"


def test_waiting_outputs_are_counted_with_their_bytes() -> None:
    desk = Desk()
    desk.read([Record("frames", 0, place, START, b"k", bytes(1000)) for place in range(3)])
    desk.settled()
    assert (len(desk.shard.outputs), desk.shard.outputs.size) == (3, 3000)
    desk.unit()
    assert (len(desk.shard.outputs), desk.shard.outputs.size) == (0, 0)


def test_iterating_may_stop_at_any_moment_and_go_on_later() -> None:
    whole, piecewise = Desk(), Desk()
    for desk in (whole, piecewise):
        desk.read(footage(10))
    expected = [moment.start for moment in whole.shard.advance(PARTITIONS, FOREVER)]
    found = []
    while (moment := next(piecewise.shard.advance(PARTITIONS, FOREVER), None)) is not None:
        found.append(moment.start)
    assert found == expected


def test_the_alerts_of_the_longest_unheard_sources_are_forgotten_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alert_book, "MAX_ALERT_STATES", 2)
    desk = Desk(scoring__calibration_moments=20)
    for source in ("/a", "/b", "/c"):
        desk.read(footage(80, source, captions=False))
        desk.settled()
    assert desk.shard._judge.fill()["alert_states"] <= 1


kinds = st.lists(
    st.tuples(
        st.sampled_from(["frame", "audio", "caption", "broken", "mute", "garbled", "envelope"]),
        st.integers(0, 60),
        st.sampled_from([None, None, None, "c"]),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(kinds, st.lists(st.integers(0, 6), max_size=40))
def test_offsets_never_pass_a_record_that_is_in_no_output_and_end_at_the_end(
    items: list[tuple[str, int, str | None]], pauses: list[int]
) -> None:
    desk, in_flight, ended = Desk(), list[Embedded](), set[tuple[str, int]]()
    appended, read = 7.0, dict.fromkeys(TOPICS.values(), 0)

    def check() -> None:
        unit = desk.shard.take()
        if unit is None:
            return
        assert unit.offsets
        for topic, offset in offsets(unit).items():
            assert {(topic, place) for place in range(offset)} <= ended

    def settle(count: int) -> None:
        for embedded in in_flight[:count]:
            for one in (*embedded.moment.events, *(each.event for each in embedded.rejected)):
                ended.add((one.record.topic, one.record.offset))
            desk.shard.settle(embedded)
        del in_flight[:count]

    def note_others() -> None:
        for output in desk.shard.outputs._waiting:
            named = dict(output.headers)
            for prefix in ("late", "error"):
                if (offset := named.get(f"mmworker.{prefix}.offset")) is not None:
                    topic = (named[f"mmworker.{prefix}.topic"] or b"").decode()
                    ended.add((topic, int(offset)))

    for place, (kind, tenths, correlation) in enumerate(items):
        payload = {"broken": b"no picture", "mute": b"\0", "garbled": b"\xff"}.get(kind)
        modality = {"broken": "frame", "mute": "audio", "garbled": "caption", "envelope": "frame"}
        one = event(
            modality.get(kind, kind),
            tenths / 10,
            payload=payload if kind != "audio" else hum(place),
            correlation=correlation,
        )
        appended += 0.3
        record = desk.record(one, appended)
        if kind == "envelope":
            record = Record(record.topic, 0, record.offset, record.timestamp, None, b"x")
        desk.read([record])
        read[record.topic] += 1
        in_flight += desk.closed(START + seconds(appended))
        settle(pauses[place] if place < len(pauses) else 1)
        note_others()
        check()
    in_flight += desk.closed()
    settle(len(in_flight))
    note_others()
    check()
    assert read == {each.topic: at for each, at in desk.shard.intake.ledger.committable().items()}
    assert desk.shard.intake.ledger.unresolved == 0
    assert all(entries == 0 for entries, _ in desk.shard.buffered().values())
