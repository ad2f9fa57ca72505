from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Iterator
from typing import Any, Literal

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from worker.runtime import logs
from worker.runtime.log_limits import BURST, MAX_KINDS, PERIOD_SECONDS, RepeatFilter


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    logging.getLogger("worker").setLevel(logging.NOTSET)
    structlog.reset_defaults()


def configured(
    form: Literal["json", "console"] = "json",
    level: Literal["debug", "info", "warning", "error"] = "info",
) -> io.StringIO:
    stream = io.StringIO()
    logs.configure(level, form, stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json_with_time_level_and_logger() -> None:
    stream = configured()
    structlog.get_logger("worker.x").info("began", partitions=3, ratio=0.5, none=None)
    (event,) = lines(stream)
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "began",
        "level": "info",
        "logger": "worker.x",
        "partitions": 3,
        "ratio": 0.5,
        "none": None,
    }


def test_what_is_below_the_level_is_silent() -> None:
    stream = configured(level="warning")
    log = structlog.get_logger("worker.x")
    log.debug("a")
    log.info("b")
    log.warning("c")
    assert [event["event"] for event in lines(stream)] == ["c"]


def test_libraries_are_heard_from_warnings_up_and_always_at_debug() -> None:
    stream = configured()
    logging.getLogger("some_library").info("chatter")
    logging.getLogger("some_library").warning("lost %s", "it")
    logging.getLogger("worker.y").info("ours")
    assert [event["event"] for event in lines(stream)] == ["lost it", "ours"]
    stream = configured(level="debug")
    logging.getLogger("some_library").debug("chatter")
    assert [event["event"] for event in lines(stream)] == ["chatter"]


def test_what_a_library_has_to_do_once_on_a_new_machine_is_no_news() -> None:
    stream = configured()
    logging.getLogger("matplotlib.font_manager").warning("is building the font cache")
    assert not lines(stream)


def test_a_logger_made_before_follows_a_later_configuration() -> None:
    log = structlog.get_logger("worker.x")
    configured().close()
    stream = configured()
    log.info("here")
    assert [event["event"] for event in lines(stream)] == ["here"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_nothing_that_is_logged_can_end_a_line_or_drive_a_terminal(
    form: Literal["json", "console"],
) -> None:
    stream = configured(form)
    evil = "a\n\x1b[2J\r\x00\u202e\u2028\x85b"
    structlog.get_logger("worker.x").info(evil, text=evil, nested={evil: [evil, (evil,)]})
    logging.getLogger("some_library").warning("%s", evil)
    text = stream.getvalue()
    assert text.count("\n") == 2
    assert all(character.isprintable() for character in text.replace("\n", ""))
    assert r"\x1b[2J" in text.replace("\\\\", "\\")


def test_bytes_are_counted_but_not_shown() -> None:
    stream = configured()
    structlog.get_logger("worker.x").info("got", value=b"payload", many=[b"pay"])
    (event,) = lines(stream)
    assert event["value"] == "<7 bytes>"
    assert event["many"] == ["<3 bytes>"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_local_variables_and_no_line_looks_new(
    form: Literal["json", "console"],
) -> None:
    stream = configured(form)
    try:
        caption = "a private text".upper()
        raise ValueError("first\n2026-01-01T00:00:00Z [info] forged\x1b")
    except ValueError:
        structlog.get_logger("worker.x").exception("failed")
    text = stream.getvalue()
    assert caption not in text
    assert "ValueError" in text and "\x1b" not in text
    assert not any(line.startswith("2026-01-01") for line in text.splitlines())
    assert len(text.splitlines()) == 1 or form == "console"


def test_lines_that_repeat_are_bounded_and_the_next_period_tells_how_many_were_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    monkeypatch.setattr(time, "time_ns", lambda: int(clock[0] * 1e9))
    stream = configured()
    ours, theirs = structlog.get_logger("worker.x"), logging.getLogger("some_library")
    for number in range(50):
        ours.warning("redis_left_alone", reason="slow", number=number)
        theirs.warning("lost %s", number)
    ours.warning("redis_left_alone", reason="other")
    assert len(lines(stream)) == 2 * BURST + 1
    clock[0] += PERIOD_SECONDS
    ours.warning("redis_left_alone", reason="slow")
    theirs.warning("lost %s", 50)
    assert [line["left_out"] for line in lines(stream)[-2:]] == [50 - BURST, 50 - BURST]
    assert not any("left_out" in line for line in lines(stream)[:-2])


def test_at_debug_every_line_is_there() -> None:
    stream = configured(level="debug")
    for _ in range(50):
        structlog.get_logger("worker.x").warning("again")
    assert len(lines(stream)) == 50


def test_the_kinds_of_lines_that_are_remembered_are_bounded() -> None:
    limit = RepeatFilter(burst=1)
    for number in range(2 * MAX_KINDS):
        assert limit.filter(logging.makeLogRecord({"name": "x", "msg": f"kind {number}"}))
    assert not limit.filter(logging.makeLogRecord({"name": "x", "msg": f"kind {number}"}))
    assert limit.filter(logging.makeLogRecord({"name": "x", "msg": "kind 0"}))  # forgotten


@given(st.text())
def test_whatever_the_text_it_is_logged_as_printable(text: str) -> None:
    event = logs.escape_control_characters(None, "info", {"event": text})
    assert event["event"].isprintable()
    if text.isprintable():
        assert event["event"] == text


def test_a_source_has_one_name_per_process_that_does_not_contain_it() -> None:
    name = logs.source_hash("/cameras/north-gate")
    assert name == logs.source_hash("/cameras/north-gate")
    assert name != logs.source_hash("/cameras/south-gate")
    assert len(name) == 12 and "north" not in name


def test_a_seed_gives_the_same_names_everywhere() -> None:
    assert logs.source_hash("/cameras/a", seed=1) == "8c8227e0fcb3"
    assert logs.source_hash("/cameras/a", seed=2) != logs.source_hash("/cameras/a", seed=1)
    assert logs.source_hash("/cameras/a", seed=1) != logs.source_hash("/cameras/a")
