"""Each record that cannot be accepted is a dead letter with its own reason, and nothing else is."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.conftest import POISONED, TARDY, Ingested
from tests.e2e.footage import ids_of
from tests.e2e.poison import CASE, TEN_MB, Maker
from worker.core.events import Record
from worker.demo.tally import read_tally
from worker.errors import Reason

pytestmark = pytest.mark.kafka

ERROR = "mmworker.error."
ADDED = ("stage", "reason", "message", "topic", "partition", "offset", "worker")
CASES = {
    poison.name: poison
    for poison in Maker(POISONED, {"frame": "f", "caption": "c", "audio": "a"}, 2).poisons(
        iter(range(100))
    )
}


def case_of(record: Record) -> str:
    return (dict(record.headers)[CASE] or b"").decode()


def test_every_reason_has_a_case() -> None:
    elsewhere = {
        Reason.QUARANTINED,  # in test_quarantine.py: it needs more than one process
        Reason.TOO_MANY_EVENTS,  # in runtime/test_worker.py: it takes thousands of them
        Reason.INVALID_FEEDBACK,  # in test_heard.py: these are no media
        Reason.UNKNOWN_SOURCE,
        Reason.FEEDBACK_BACKLOG,  # in runtime/test_feedback.py: too much while nothing closes
    }
    assert {poison.reason for poison in CASES.values()} == set(Reason) - elsewhere


@pytest.mark.parametrize("name", CASES)
def test_it_is_a_dead_letter_once_with_its_reason_and_otherwise_untouched(
    ingested: Ingested, name: str
) -> None:
    (poison,) = (poison for poison in ingested.poisons if poison.name == name)
    (letter,) = (record for record in ingested.dead_letters if case_of(record) == name)
    sent = poison.output
    assert letter.key == sent.key
    assert letter.headers[: len(sent.headers)] == sent.headers
    added = {key: (value or b"").decode() for key, value in letter.headers[len(sent.headers) :]}
    assert added[ERROR + "reason"] == CASES[name].reason
    assert added[ERROR + "topic"] == sent.topic
    assert added[ERROR + "partition"] == str(sent.partition)
    assert added[ERROR + "offset"].isdigit()
    assert added[ERROR + "stage"] in {"envelope", "decode"}
    assert added[ERROR + "message"].isprintable()
    if len(sent.value or b"") < TEN_MB:
        assert letter.value == sent.value
        assert set(added) == {ERROR + field for field in ADDED}


def test_of_a_record_that_is_too_large_the_digest_is_kept(ingested: Ingested) -> None:
    (letter,) = (record for record in ingested.dead_letters if case_of(record) == "10 MB")
    headers = dict(letter.headers)
    assert letter.value is None
    assert headers[ERROR + "value_sha256"] == sha256(bytes(TEN_MB)).hexdigest().encode()
    assert headers[ERROR + "value_size"] == str(TEN_MB).encode()


def test_there_is_no_other_dead_letter(ingested: Ingested) -> None:
    assert Counter(map(case_of, ingested.dead_letters)) == Counter(
        poison.name for poison in ingested.poisons
    )


def test_the_good_events_around_them_are_in_one_observation_each(ingested: Ingested) -> None:
    paired = Counter(
        (observation.source, each.id)
        for observation in ingested.observations
        for each in observation.inputs
        if not each.carried
    )
    sources = [(output.key or b"").decode() for output in ingested.good]
    expected = Counter(zip(sources, ids_of(ingested.good), strict=True))
    assert paired == expected
    assert {source for source, _ in paired} == {POISONED, TARDY}


def test_wav_streams_without_a_size_are_good_events(ingested: Ingested) -> None:
    assert {"size 0", "size unknown"} <= set(ids_of(ingested.good))


def test_no_observation_is_computed_from_a_poison(ingested: Ingested) -> None:
    names = {poison.name for poison in ingested.poisons}
    seen = {each.id for observation in ingested.observations for each in observation.inputs}
    assert not names & seen


def test_each_moment_has_one_observation(ingested: Ingested) -> None:
    ids = Counter(observation.observation_id for observation in ingested.observations)
    assert set(ids.values()) == {1}


def test_the_counts_reconcile_and_tell_the_reasons(ingested: Ingested) -> None:
    tally = read_tally(ingested.exposition)
    assert tally.reconciles
    assert tally.outcomes["paired"] == len(ingested.good)
    assert tally.outcomes["dead_letter"] == len(ingested.poisons)
    counted = Counter(
        {
            (sample.labels["topic"], sample.labels["reason"]): int(sample.value)
            for family in text_string_to_metric_families(ingested.exposition)
            for sample in family.samples
            if sample.name == "mmworker_dead_lettered_total" and sample.value
        }
    )
    expected = Counter((each.output.topic, str(each.reason)) for each in ingested.poisons)
    assert counted == expected


def test_a_stop_by_sigterm_is_no_failure(ingested: Ingested) -> None:
    assert ingested.exit_code == 0
