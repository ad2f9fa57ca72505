"""Events after their time go to a topic of their own; repeated ones are counted and go nowhere."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.e2e.conftest import Ingested
from tests.e2e.footage import ids_of
from tests.e2e.stragglers import Straggler
from worker.core import rfc3339
from worker.core.events import Record
from worker.demo.tally import read_tally

pytestmark = pytest.mark.kafka

LATE = "mmworker.late."


def fated(ingested: Ingested, fate: str) -> list[Straggler]:
    return [each for each in ingested.stragglers if each.fate == fate]


def matches(record: Record, straggler: Straggler) -> bool:
    sent = straggler.output
    original = record.headers[: len(sent.headers)]
    return (record.key, record.value, original) == (sent.key, sent.value, sent.headers)


def test_each_late_event_is_among_the_late_events_once_and_untouched(ingested: Ingested) -> None:
    late = fated(ingested, "late")
    assert len(late) == len(ingested.late_events) == 4
    for straggler in late:
        assert sum(matches(record, straggler) for record in ingested.late_events) == 1


def test_a_late_event_tells_where_it_was_read_and_what_it_was_late_for(
    ingested: Ingested,
) -> None:
    for record in ingested.late_events:
        headers = {key: (value or b"").decode() for key, value in record.headers}
        assert headers[LATE + "topic"] in ingested.topics.values()
        assert headers[LATE + "partition"] in {"0", "1"}
        assert headers[LATE + "offset"].isdigit()
        assert rfc3339.parse(headers[LATE + "watermark"]) > rfc3339.parse(headers["ce_time"])


def test_repeated_events_are_counted_and_appear_nowhere(ingested: Ingested) -> None:
    again = fated(ingested, "duplicate")
    tally = read_tally(ingested.exposition)
    assert tally.outcomes["duplicate"] == len(again) == 4
    assert tally.outcomes["late"] == 4
    ids = set(ids_of([each.output for each in again]))
    paired = Counter(
        each.id
        for observation in ingested.observations
        for each in observation.inputs
        if not each.carried and each.id in ids and observation.source.endswith("tardy")
    )
    assert paired == Counter(ids)
    elsewhere = (*ingested.late_events, *ingested.dead_letters)
    assert not any(matches(record, each) for record in elsewhere for each in again)
