"""`mmworker dead-letters list`, `show` and `export` on a real Kafka."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka import TopicPartition as ClientPartition

from tests.cli.letters import (
    HOSTILE,
    TEXT,
    abort,
    commit,
    dead_letter,
    execute,
    exhausted,
    invoke,
    late_event,
    places,
    rows,
)
from tests.e2e.footage import picture
from tests.e2e.site import Site, mmworker, write_config
from worker.adapters.kafka.reading import TopicReader
from worker.config import Config, KafkaSettings
from worker.core.ports import Output
from worker.demo.services import LocalKafka
from worker.errors import OperatorError, Reason

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def site(kafka_server: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Dead letters at 0:0, 0:1, 0:2, 0:6 and 1:0 to 1:2: between them lie ends of transactions."""
    made = Site(kafka_server, tmp_path_factory.mktemp("letters"), partitions=2)
    commit(
        made,
        [
            dead_letter(made, 0),
            dead_letter(made, 1, Reason.TIME_AHEAD, kind="caption", value=TEXT),
            dead_letter(made, 2, Reason.TOO_LARGE, value=b"123456", cap=5),
        ],
    )
    abort(made)  # 0:4 and its marker
    topic = made.config.topics.dead_letters
    made.send(
        [
            [exhausted(made, 3)],
            [dead_letter(made, 4, key=None, more=HOSTILE, value=b"\xff\x00", partition=1)],
            [Output(topic, b"/cameras/b", b"", (), 1), Output(topic, b"\xff", None, (), 1)],
        ],
        pause=0.05,
    )
    made.send([[late_event(made, 7), late_event(made, 8)]])
    return made


@pytest.fixture(scope="module")
def listed(site: Site) -> list[dict[str, object]]:
    return rows(invoke(site, "list", "--json").stdout)


ALL = ["0:0", "0:1", "0:2", "0:6", "1:0", "1:1", "1:2"]


def test_all_that_is_committed_is_listed_in_the_order_of_partitions_and_offsets(
    site: Site, listed: list[dict[str, object]]
) -> None:
    assert places(listed) == ALL
    assert listed[1] | {"time": None} == {
        "partition": 0,
        "offset": 1,
        "time": None,
        "source": "/cameras/a",
        "original": {"topic": site.inputs["caption"], "partition": 0, "offset": 1},
        "attempts": 0,
        "size": len(TEXT),
        "value_kept": True,
        "reason": "time_ahead",
        "stage": "envelope",
        "message": "no luck 1",
    }
    assert [row["attempts"] for row in listed] == [0, 0, 0, 3, 0, 0, 0]
    assert [row["value_kept"] for row in listed] == [True, True, False, True, True, True, True]
    assert listed[2]["size"] == 6


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--reason", "time_ahead"), ["0:1"]),
        (("--reason", "time_ahead", "--reason", "too_large"), ["0:1", "0:2"]),
        (("--reason", "null_key"), []),
        (("--source", "/cameras/a"), ["0:0", "0:1", "0:2", "0:6"]),
        (("--source", "/cameras/b"), ["1:1"]),
        (("--limit", 5), ALL[:5]),
        (("--partition", 1), ["1:0", "1:1", "1:2"]),
        (("--partition", 0, "--from-offset", 1, "--to-offset", 6), ["0:1", "0:2"]),
        (("--partition", 0, "--from-offset", 3), ["0:6"]),
        (("--partition", 0, "--from-offset", 999), []),
        (("--partition", 0, "--to-offset", 0), []),
        (("--since", "2100-01-01T00:00:00Z"), []),
        (("--since", "1960-01-01T00:00:00Z", "--until", "2100-01-01T00:00:00Z"), ALL),
        (("--until", "1960-01-01T00:00:00Z"), []),
    ],
)
def test_filters_choose(site: Site, options: tuple[object, ...], expected: list[str]) -> None:
    result = invoke(site, "list", "--json", *options)
    assert result.exit_code == 0
    assert places(rows(result.stdout)) == expected
    count = len(expected)
    assert result.stderr.startswith("1 dead letter (" if count == 1 else f"{count} dead letters")


def test_times_are_those_of_the_dead_letter_the_first_included_the_last_not(
    site: Site, listed: list[dict[str, object]]
) -> None:
    times = {place: row["time"] for place, row in zip(ALL, listed, strict=True)}
    result = invoke(site, "list", "--json", "--since", times["0:6"], "--until", times["1:1"])
    assert places(rows(result.stdout)) == ["0:6", "1:0"]


def test_the_last_line_counts_by_reason(site: Site) -> None:
    assert invoke(site, "list").stderr.splitlines()[-1] == (
        "7 dead letters (image_too_large 3, unknown 2, time_ahead 1, too_large 1)"
    )


def test_a_table_has_a_line_per_record_and_no_control_characters(site: Site) -> None:
    shown = invoke(site, "list").stdout
    lines = [line.split()[0] for line in shown.splitlines() if ":" in line]
    assert lines == ALL
    assert "no luck 0" in shown
    assert all(character.isprintable() or character == "\n" for character in shown)


def test_late_events_are_listed_by_topic_with_what_they_were_late_for(site: Site) -> None:
    result = invoke(site, "list", "--late", "--json")
    found = rows(result.stdout)
    assert places(found) == ["0:0", "0:1"]
    assert found[0]["watermark"] == "1970-01-01T00:00:00.000Z"
    assert "reason" not in found[0]
    assert result.stderr.strip() == f"2 late events ({site.inputs['audio']} 2)"
    assert "late for 1970-01-01" in invoke(site, "list", "--late").stdout


def test_a_topic_without_records_is_no_fault(kafka_server: LocalKafka, tmp_path: Path) -> None:
    result = execute(Site(kafka_server, tmp_path), "list")
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr == "0 dead letters\n"


def test_a_text_is_shown(site: Site) -> None:
    lines = invoke(site, "show", "0:1").stdout.splitlines()
    assert "key: /cameras/a" in lines
    assert "  ce_id: caption-1" in lines
    assert "  mmworker.error.reason: time_ahead" in lines
    assert lines[-2:] == [f"value ({len(TEXT)} bytes of text):", TEXT.decode()]


def test_of_a_picture_the_kind_and_digest_are_shown_and_the_value_can_be_had(
    site: Site, tmp_path: Path
) -> None:
    result = invoke(site, "show", "0:0", "--value", tmp_path / "picture.jpg")
    digest = sha256(picture(0)).hexdigest()
    last = result.stdout.splitlines()[-1]
    assert last == f"value: {len(picture(0))} bytes, image/jpeg, sha256 {digest}"
    assert (tmp_path / "picture.jpg").read_bytes() == picture(0)
    assert [path.name for path in tmp_path.iterdir()] == ["picture.jpg"]


def test_what_strangers_wrote_is_shown_escaped(site: Site) -> None:
    shown = invoke(site, "show", "1:0").stdout
    assert r"  x-red: [red]a\x1b[31m\n" in shown.splitlines()
    assert r"  blob: \xff\x00" in shown.splitlines()
    assert "  nothing: none" in shown.splitlines()
    assert "key: none" in shown.splitlines()
    assert "value: 2 bytes, of no known media type, sha256" in shown


def test_of_a_value_that_was_not_kept_its_size_is_shown(site: Site) -> None:
    assert "value: none (its 6 bytes were not kept)" in invoke(site, "show", "0:2").stdout


def test_a_late_event_is_shown(site: Site) -> None:
    assert "  mmworker.late.offset: 8" in invoke(site, "show", "0:1", "--late").stdout


def test_an_export_has_every_byte(site: Site, tmp_path: Path) -> None:
    result = invoke(site, "export", "--output", tmp_path / "new" / "letters")
    directory = tmp_path / "new" / "letters"
    assert result.exit_code == 0
    assert result.stdout.startswith("7 dead letters (")
    exported = rows((directory / "records.jsonl").read_text(encoding="utf-8"))
    assert places(exported) == ALL
    for row, record in zip(exported, site.read(site.config.topics.dead_letters), strict=True):
        assert exact(row["key"]) == record.key
        assert tuple((each["name"], exact(each)) for each in row["headers"]) == record.headers
        value = None if row["file"] is None else (directory / row["file"]).read_bytes()
        assert value == record.value
        digest = None if value is None else sha256(value).hexdigest()
        assert row["value_sha256"] == digest
    files = {row["file"] for row in exported} - {None}
    assert files == {"0-0.jpg", "0-1.txt", "0-6.jpg", "1-0.bin", "1-1.txt"}
    assert {path.name for path in directory.iterdir()} == {*files, "records.jsonl"}
    assert [path.name for path in directory.parent.iterdir()] == ["letters"]


def exact(written: dict[str, str | None]) -> bytes | None:
    if "value_base64" in written:
        return base64.b64decode(written["value_base64"] or "")
    return None if written["value"] is None else written["value"].encode()


def test_an_empty_directory_is_filled_and_a_used_one_refused_and_left_alone(
    site: Site, tmp_path: Path
) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    (tmp_path / "empty").mkdir()
    refused = invoke(site, "export", "--output", tmp_path / "used")
    assert isinstance(refused.exception, OperatorError)
    assert "not empty" in str(refused.exception)
    filled = invoke(site, "export", "--late", "--limit", 1, "--output", tmp_path / "empty")
    assert filled.exit_code == 0
    assert {path.name for path in (tmp_path / "empty").iterdir()} == {"records.jsonl", "0-0.txt"}
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["file"]


BAD = {
    "unknown reason": (("list", "--reason", "time_ahed"), "did you mean time_ahead?"),
    "no such reason": (("list", "--reason", "?"), "there are null_value, empty_value"),
    "reason of a late event": (("list", "--late", "--reason", "time_ahead"), "have no reason"),
    "no time": (("redrive", "--yes", "--since", "yesterday"), "RFC 3339"),
    "impossible time": (("export", "--output", "x", "--until", "2026-02-30T00:00:00Z"), "RFC 3339"),
    "offset alone": (("list", "--from-offset", "3"), "need --partition"),
    "no such partition": (("list", "--partition", "7"), "give one of 0..1"),
    "no coordinates": (("show", "17"), "PARTITION:OFFSET"),
    "negative offset": (("show", "0:٣"), "PARTITION:OFFSET"),
    "end of a transaction": (("show", "0:3"), "no record at 0:3"),
    "an aborted record": (("show", "0:4"), "no record at 0:4"),
    "after the end": (("show", "0:99"), "no record at 0:99"),
    "no value": (("show", "0:2", "--value", "x"), "has no value"),
    "no place for the value": (("show", "0:0", "--value", "/nowhere/x"), "cannot be written"),
    "no place to export to": (("export", "--output", "/proc/x/y"), "cannot be written"),
    "nobody to ask": (("redrive",), "--dry-run"),
}


@pytest.mark.parametrize("mistake", BAD)
def test_a_mistake_is_told_in_one_sentence_and_ends_with_2(site: Site, mistake: str) -> None:
    arguments, words = BAD[mistake]
    done = execute(site, *arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("mmworker: ")
    assert words in line
    assert done.stdout == ""


@pytest.mark.parametrize("command", [("list",), ("show", "0:0"), ("redrive", "--dry-run")])
def test_a_topic_that_is_not_there_is_a_mistake(
    kafka_server: LocalKafka, tmp_path: Path, command: tuple[str, ...]
) -> None:
    file = tmp_path / "mmworker.yaml"
    write_config(Config(kafka=KafkaSettings(bootstrap_servers=kafka_server.bootstrap)), file)
    done = mmworker("dead-letters", *command, "--config", file)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "there is no topic " in line


def test_a_stretch_can_be_read_again_and_others_after_it(site: Site) -> None:
    topic = site.config.topics.dead_letters
    with TopicReader(site.config.kafka) as reader:
        one, other = reader.spans(topic, [0, 1], None)
        first = [list(reader.read(span)) for span in (one, other, one)]
    assert first[0] == first[2]
    assert [record.partition for record in first[1]] == [1, 1, 1]


def test_what_is_deleted_before_it_is_read_is_passed_over(
    kafka_server: LocalKafka, tmp_path: Path
) -> None:
    site = Site(kafka_server, tmp_path)
    site.send([[dead_letter(site, number) for number in range(5)]])
    topic = site.config.topics.dead_letters
    admin: Any = KafkaAdminClient(bootstrap_servers=kafka_server.bootstrap)
    with TopicReader(site.config.kafka) as reader:
        (span,) = reader.spans(topic, [0], None)
        admin.delete_records({ClientPartition(topic, 0): 3})
        assert [record.offset for record in reader.read(span)] == [3, 4]
    admin.close()
    assert places(rows(invoke(site, "list", "--json").stdout)) == ["0:3", "0:4"]


def test_json_lines_are_plain_ascii(site: Site) -> None:
    shown = invoke(site, "list", "--json").stdout
    assert shown.isascii()
    assert all(json.loads(line) for line in shown.splitlines())
