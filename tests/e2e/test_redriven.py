"""A dead letter that is put back: fixed by configuration it is observed, else it ends some time."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.footage import SECOND, long_ago, picture
from tests.e2e.poison import Maker
from tests.e2e.site import Site, mmworker, running, write_config
from worker.config import Config
from worker.core.events import Modality, Record
from worker.core.messages.redrive import attempts_of, last_header
from worker.demo.services import LocalKafka

pytestmark = pytest.mark.kafka


def reasons(letters: list[Record]) -> list[str | None]:
    return [last_header(letter.headers, "mmworker.error.reason") for letter in letters]


def test_once_the_limit_is_raised_a_record_is_observed_and_a_broken_one_stops_at_the_maximum(
    kafka_server: LocalKafka, tmp_path: Path
) -> None:
    site = Site(kafka_server, tmp_path, {"limits.max_pixels": 1024})
    maker = Maker("/cameras/gate", site.inputs, 1)
    start = long_ago(time.time_ns() // 1000, 30)
    fixed = maker.record("fixed", start, Modality.FRAME, "image/jpeg", picture(0))
    broken = maker.record("broken", start + SECOND, Modality.FRAME, "image/gif", b"GIF89a")
    topic = site.config.topics.dead_letters

    with running(site) as worker:
        worker.await_settled(site.send([[fixed], [broken]]))
        assert worker.terminate() == 0
    assert site.observations() == []
    assert sorted(map(str, reasons(site.read(topic)))) == [
        "image_too_large",
        "unsupported_content_type",
    ]

    raised = site.config.model_copy(update={"limits": Config().limits})
    write_config(raised, site.directory / "mmworker.yaml")
    with running(site) as worker:
        assert redrive(site).startswith(f"2 put back ({fixed.topic} 2), 0 skipped; ")
        worker.await_settled(2)
        for letters in (3, 4):
            worker.wait_for(partial(has_letters, site, letters))
            told = redrive(site, "--reason", "unsupported_content_type", *newest(site))
            assert told.startswith(f"1 put back ({fixed.topic} 1), 0 skipped; ")
        worker.wait_for(partial(has_letters, site, 5))
        told = redrive(site, "--reason", "unsupported_content_type", *newest(site))
        assert told.startswith("0 put back, 1 skipped (max_attempts 1); ")
        assert worker.terminate() == 0

    (observation,) = site.observations()
    assert [each.id for each in observation.inputs] == ["fixed"]
    failed = [each for each in site.read(topic) if each.value == b"GIF89a"]
    assert [attempts_of(letter.headers) for letter in failed] == [0, 1, 2, 3]
    assert set(reasons(failed)) == {"unsupported_content_type"}
    own = len(broken.headers)
    assert {letter.headers[:own] for letter in failed} == {broken.headers}
    assert [len(letter.headers) - own for letter in failed] == [7, 9, 9, 9]


def has_letters(site: Site, count: int) -> bool:
    return len(site.read(site.config.topics.dead_letters)) == count


def newest(site: Site) -> tuple[object, ...]:
    """Return the options that choose the newest dead letter alone."""
    last = site.read(site.config.topics.dead_letters)[-1]
    return "--partition", last.partition, "--from-offset", last.offset


def redrive(site: Site, *options: object) -> str:
    """Put dead letters back and return what the command prints."""
    file = site.directory / "mmworker.yaml"
    done = mmworker("dead-letters", "redrive", "--yes", *options, "--config", file)
    assert done.returncode == 0, done.stderr
    return done.stdout
