from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner

from worker.cli.config import app
from worker.config import Config, json_schema, load, markdown_table, read_secret, show_rows
from worker.config.model import known_fields
from worker.errors import OperatorError


def test_rows_hide_passwords_and_tell_origins() -> None:
    environ = {"MMWORKER_REDIS__URL": "redis://worker:hunter2@cache:6379/0"}
    rows = {key: (value, origin) for key, value, origin in show_rows(load(None, environ))}
    assert rows["redis.url"] == (
        "redis://worker:***@cache:6379/0",
        "environment MMWORKER_REDIS__URL",
    )
    assert rows["pairing.await"] == ("[frame, audio]", "default")
    assert rows["models.batch_size"] == ("auto", "default")
    assert rows["models.allow_hub"] == ("false", "default")
    assert rows["kafka.ssl_cafile"] == ("", "default")
    assert rows["pairing.window_seconds"] == ("1", "default")
    assert rows.keys() == known_fields().keys()


def test_what_the_budgets_of_a_fleet_add_up_to_is_shown_where_its_size_is_given(
    tmp_path: Path,
) -> None:
    path = tmp_path / "worker.yaml"
    path.write_text(
        "scoring: {false_discovery_rate: 0.1, sources: [{match: /gates/*, mute: true},"
        " {match: /yards/*, cooldown_seconds: 9}, {match: /roofs/*, false_alarms_per_day: 0.5}]}",
        encoding="utf-8",
    )
    shown = CliRunner().invoke(app, ["show", "--config", str(path), "--cameras", "400"]).stdout
    assert shown.splitlines()[-1] == (
        "400 sources x 2 = up to 800 false alarms a day; instead of 2 each: /gates/* 0, /roofs/*"
        " 0.5; a share of 0.1 false ones among all alerts is allowed for"
    )
    assert "up to" not in CliRunner().invoke(app, ["show"]).stdout


def test_the_table_has_a_row_with_a_meaning_for_every_setting() -> None:
    lines = markdown_table().splitlines()
    assert lines[0] == "| key | default | meaning |"
    assert len(lines) == 2 + len(known_fields())
    assert (
        "| `pairing.await` | `[frame, audio]` | modalities that a window waits for;"
        in "\n".join(lines)
    )
    for line in lines[2:]:
        key, default, meaning = (cell.strip() for cell in line.strip("|").split("|"))
        assert key and default and meaning and meaning != "None"


def test_the_schema_accepts_the_defaults_and_refuses_what_loading_refuses() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(Config().model_dump(mode="json", by_alias=True))
    assert validator.is_valid({"models": {"batch_size": "auto"}})
    wrongs: list[dict[str, object]] = [
        {"kafak": {}},
        {"kafka": {"group": "x"}},
        {"pairing": {"await": []}},
    ]
    for wrong in wrongs:
        assert not validator.is_valid(wrong)


def test_a_secret_is_read_without_its_line_end(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(" pass word \r\n", encoding="utf-8")
    assert read_secret("redis.password_file", path) == " pass word "


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff"])
def test_a_useless_secret_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OperatorError, match=r"redis\.password_file: .* must"):
        read_secret("redis.password_file", path)
