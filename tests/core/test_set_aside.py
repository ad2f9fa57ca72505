"""Dead letters and late events are understood, chosen, and sent where they came from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core import rfc3339
from worker.core.envelope import Partitioner
from worker.core.events import Record
from worker.core.messages import capped_value, dead_letter_headers, late_headers
from worker.core.messages.redrive import ATTEMPT
from worker.core.partitioner import partition_for
from worker.core.ports import Output
from worker.core.redrive import (
    BATCH_BYTES,
    RedriveRules,
    Skip,
    Step,
    Tally,
    batches,
    outputs_of,
    plan,
)
from worker.core.set_aside import Origin, Selection, read_set_aside
from worker.errors import Reason

TIME = rfc3339.parse("2026-03-14T09:26:53Z")
KEY = b"/cameras/north-gate"
RULES = RedriveRules(
    {"frames": 6, "captions": 6, "audio": 6}, "murmur2", max_record_bytes=1000, max_attempts=3
)
Headers = tuple[tuple[str, bytes | None], ...]


def original(
    key: bytes | None = KEY,
    value: bytes | None = b"media",
    headers: Headers = (),
    *,
    topic: str = "frames",
    partition: int = 3,
) -> Record:
    return Record(topic, partition, 4831, TIME, key, value, headers)


def dead_letter(record: Record, reason: Reason = Reason.TIME_AHEAD, cap: int = 1000) -> Record:
    headers = dead_letter_headers(record, "envelope", reason, "no luck", "worker-0")
    value, more = capped_value(record.value, cap)
    return Record("dead-letters", 0, 17, TIME, record.key, value, headers + more)


def late_event(record: Record) -> Record:
    headers = late_headers(record, TIME)
    return Record("late-events", 0, 17, TIME, record.key, record.value, headers)


def test_a_dead_letter_is_understood() -> None:
    found = read_set_aside(dead_letter(original(headers=((ATTEMPT, b"2"),))), "dead-letter")
    assert found.origin == Origin("frames", 3, 4831)
    assert (found.reason, found.stage, found.message) == ("time_ahead", "envelope", "no luck")
    assert (found.attempts, found.size, found.is_digest) == (2, 5, False)


def test_of_a_value_that_was_not_kept_the_size_is_the_original_one() -> None:
    found = read_set_aside(dead_letter(original(value=b"123456"), cap=5), "dead-letter")
    assert (found.record.value, found.size, found.is_digest) == (None, 6, True)


def test_a_late_event_is_understood() -> None:
    found = read_set_aside(late_event(original()), "late")
    assert found.origin == Origin("frames", 3, 4831)
    assert found.watermark == "2026-03-14T09:26:53.000Z"
    assert found.reason is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["topic", "partition", "offset", "reason", "value_size"]).map(
                "mmworker.error.{}".format
            ),
            st.none() | st.binary(max_size=24) | st.sampled_from([b"0", b"-1", b"1" * 30]),
        ),
        max_size=6,
    ).map(tuple),
    st.none() | st.binary(max_size=4),
)
def test_whatever_others_write_there_is_read_and_has_a_fate(
    headers: Headers, value: bytes | None
) -> None:
    record = Record("dead-letters", 0, 0, TIME, None, value, headers)
    assert isinstance(plan(read_set_aside(record, "dead-letter"), RULES), Output | Skip)


def test_nothing_asked_for_is_everything() -> None:
    assert Selection().takes(read_set_aside(dead_letter(original()), "dead-letter"))
    assert Selection().takes(read_set_aside(Record("d", 0, 0, 0, None, None), "dead-letter"))


@pytest.mark.parametrize(
    ("selection", "takes"),
    [
        (Selection(reasons=frozenset({Reason.TIME_AHEAD, Reason.NULL_KEY})), True),
        (Selection(reasons=frozenset({Reason.NULL_KEY})), False),
        (Selection(source="/cameras/north-gate"), True),
        (Selection(source="/cameras"), False),
        (Selection(since=TIME), True),
        (Selection(since=TIME + 1), False),
        (Selection(until=TIME), False),
        (Selection(until=TIME + 1), True),
    ],
)
def test_a_selection_takes_what_fits_all_of_it(selection: Selection, takes: bool) -> None:
    assert selection.takes(read_set_aside(dead_letter(original()), "dead-letter")) is takes


def test_the_last_reason_is_the_one_that_counts() -> None:
    twice = dead_letter(dead_letter(original(), Reason.NULL_KEY), Reason.IMAGE_TOO_LARGE)
    found = read_set_aside(twice, "dead-letter")
    assert Selection(reasons=frozenset({Reason.IMAGE_TOO_LARGE})).takes(found)
    assert not Selection(reasons=frozenset({Reason.NULL_KEY})).takes(found)


@given(
    key=st.binary(min_size=1, max_size=20),
    value=st.none() | st.binary(max_size=1000),
    topic=st.sampled_from(sorted(RULES.inputs)),
    partition=st.integers(0, 5),
    partitioner=st.sampled_from(["murmur2", "crc32", "any"]),
)
def test_a_record_goes_back_to_its_topic_with_its_key_and_value_where_its_key_belongs(
    key: bytes, value: bytes | None, topic: str, partition: int, partitioner: Partitioner
) -> None:
    rules = replace(RULES, partitioner=partitioner)
    sent = original(key, value, topic=topic, partition=partition)
    output = plan(read_set_aside(dead_letter(sent), "dead-letter"), rules)
    assert isinstance(output, Output)
    assert (output.topic, output.key, output.value) == (topic, key, value)
    if partitioner == "any":
        assert output.partition == partition
    elif partitioner == "crc32":
        assert output.partition == partition_for(key, 6, "crc32")
    else:
        assert output.partition == partition_for(key, 6, "murmur2")


def test_a_record_without_a_key_goes_back_to_its_partition() -> None:
    output = plan(read_set_aside(late_event(original(None, partition=5)), "late"), RULES)
    assert isinstance(output, Output)
    assert (output.key, output.partition) == (None, 5)


@pytest.mark.parametrize(
    ("record", "rules", "skip"),
    [
        (dead_letter(original(headers=((ATTEMPT, b"3"),))), RULES, Skip.MAX_ATTEMPTS),
        (dead_letter(original(value=b"123456"), cap=5), RULES, Skip.VALUE_NOT_KEPT),
        (dead_letter(original(value=bytes(1001)), cap=2000), RULES, Skip.TOO_LARGE),
        (dead_letter(original(topic="alerts")), RULES, Skip.NO_INPUT_TOPIC),
        (Record("dead-letters", 0, 0, TIME, KEY, b"bare"), RULES, Skip.NO_INPUT_TOPIC),
        (dead_letter(original(None, partition=6)), RULES, Skip.NO_PARTITION),
        (
            dead_letter(original(partition=6)),
            replace(RULES, partitioner="any"),
            Skip.NO_PARTITION,
        ),
    ],
)
def test_what_cannot_go_back_is_skipped_with_a_reason(
    record: Record, rules: RedriveRules, skip: Skip
) -> None:
    assert plan(read_set_aside(record, "dead-letter"), rules) is skip


def test_the_last_attempt_that_is_allowed_is_made() -> None:
    record = dead_letter(original(headers=((ATTEMPT, b"2"),)))
    output = plan(read_set_aside(record, "dead-letter"), RULES)
    assert isinstance(output, Output)
    assert dict(output.headers)[ATTEMPT] == b"3"


def step(offset: int, outcome: Output | Skip | None, partition: int = 0) -> Step:
    return Step(partition, offset + 1, outcome)


def sized(size: int) -> Output:
    return Output("frames", KEY, bytes(size))


steps = st.lists(
    st.builds(step, st.integers(0, 50), st.sampled_from([None, Skip.TOO_LARGE, sized(3)]))
)


@given(steps, st.integers(1, 5))
def test_batches_hold_all_steps_in_order_and_no_more_each_than_allowed(
    taken: list[Step], records: int
) -> None:
    grouped = list(batches(taken, records))
    assert [each for batch in grouped for each in batch] == taken
    assert all(1 <= len(batch) <= records for batch in grouped)
    assert all(len(batch) == records for batch in grouped[:-1])


def test_a_batch_of_large_values_ends_early() -> None:
    large = step(0, sized(BATCH_BYTES // 2))
    assert [len(batch) for batch in batches([large] * 5, 100)] == [2, 2, 1]


def test_only_what_is_to_be_appended_is_an_output() -> None:
    assert outputs_of([step(0, sized(1)), step(1, Skip.TOO_LARGE), step(2, None)]) == [sized(1)]


def test_a_tally_says_in_one_line_what_went_where_and_where_to_go_on() -> None:
    tally = Tally({0: 4, 2: 0})
    tally.add([step(4, sized(1)), step(5, Skip.MAX_ATTEMPTS), step(6, sized(1))])
    tally.add([step(8, Output("audio", KEY, b""), partition=2)])
    assert tally.sentence("put back") == (
        "3 put back (frames 2, audio 1), 1 skipped (max_attempts 1);"
        " go on with --partition 0 --from-offset 7, --partition 2 --from-offset 9"
    )


@given(steps)
def test_a_tally_counts_each_step_once(taken: list[Step]) -> None:
    tally = Tally({})
    for batch in batches(taken, 3):
        tally.add(batch)
    kinds: Mapping[object, int] = Counter(type(each.outcome) for each in taken)
    assert tally.put_back.total() == kinds[Output]
    assert tally.skipped.total() == kinds[Skip]
    if taken:
        assert tally.next_offsets == {0: taken[-1].next_offset}
