"""Rules and dashboard: generated from the code, accepted by Prometheus, each alert tried out."""

from __future__ import annotations

import json
import re
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.monitoring import runbook
from deploy.monitoring.__main__ import COMMAND, FILES, documents, rules_text
from deploy.monitoring.pace import Pace
from deploy.monitoring.rows import rows
from tests.services.require import require_program
from worker.adapters.prometheus import Metrics

ROOT = Path(__file__).parents[2]
UNIT_TESTS = Path(__file__).with_name("alerts_test.yaml")
METRIC = re.compile(r"\b(?:mmworker|process)_\w+")


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def panels() -> list[dict[str, Any]]:
    shown = json.loads((FILES / "dashboard.json").read_text())["panels"]
    return [panel for panel in shown if panel["type"] != "row"]


def expressions() -> dict[str, str]:
    """Return all that is asked of Prometheus, by what asks."""
    asked = {rule.get("alert") or rule["record"]: rule["expr"] for rule in rules()}
    for panel in panels():
        asked |= {f"{panel['title']} {one['refId']}": one["expr"] for one in panel["targets"]}
    return asked


def exported() -> set[str]:
    """Return the names of all samples of a worker."""
    text = Metrics(("frames",)).render("text/plain")[0].decode()
    typed = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    suffixes = {"histogram": ("_bucket", "_sum", "_count")}
    return {name + end for name, kind in typed.items() for end in suffixes.get(kind, ("",))}


@pytest.mark.parametrize("name", sorted(documents()))
def test_the_generated_files_are_current(name: str) -> None:
    assert (FILES / name).read_text() == documents()[name], f"run `{COMMAND}`"


def test_only_metrics_that_a_worker_exports_are_asked_for() -> None:
    names, recorded = exported(), {rule["record"] for rule in rules() if "record" in rule}
    for asker, expr in expressions().items():
        for name in re.findall(r"\b\w+:[\w:]+", expr):
            assert name in recorded, asker
        assert set(METRIC.findall(re.sub(r"\b\w+:[\w:]+", "", expr))) <= names, asker


def test_every_metric_of_the_worker_is_on_the_dashboard_or_in_a_rule() -> None:
    asked = " ".join(expressions().values())
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in exported()}
    unseen = {name for name in families if name.startswith("mmworker_") and name not in asked}
    assert unseen == {
        "mmworker_alerts_suppressed_total",  # for a look at one's own
        "mmworker_batch_size",
        "mmworker_consumed_bytes_total",
        "mmworker_feedback_total",
        "mmworker_encoder_failures_total",  # the worker ends: MmworkerRestarting
        "mmworker_speech_moments_total",  # of an option that is off by default
        "mmworker_queue_depth",  # the wait tells more
        "mmworker_watermark_delay_seconds",  # the delay of what is published tells more
    }


@pytest.mark.parametrize("speed", [1, 60])
def test_prometheus_accepts_the_rules_at_any_pace(speed: int, tmp_path: Path) -> None:
    require_program("promtool")
    file = tmp_path / "rules.yaml"
    file.write_text(rules_text(Pace(speed)))
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", file)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_each_alert_fires_when_it_should_and_only_then() -> None:
    require_program("promtool")
    tested = promtool("test", "rules", UNIT_TESTS)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_each_alert_has_a_unit_test_that_fires_and_one_that_does_not() -> None:
    tried: defaultdict[str, set[bool]] = defaultdict(set)
    for group in yaml.safe_load(UNIT_TESTS.read_text())["tests"]:
        for one in group["promql_expr_test"]:
            (name,) = re.findall(r'ALERTS\{alertname="(\w+)",alertstate="firing"\}', one["expr"])
            assert group["name"].startswith(name)
            tried[name].add(bool(one["exp_samples"]))
    assert tried == {alert["alert"]: {True, False} for alert in alerts()}


def test_each_alert_says_how_urgent_it_is_what_it_is_and_where_to_read_on() -> None:
    for alert in alerts():
        assert re.fullmatch(r"\d+[smhd]", alert["for"])
        assert alert["labels"]["severity"] in ("critical", "warning", "info")
        notes = alert["annotations"]
        assert notes["summary"][0].isupper() or notes["summary"].startswith("{{")
        assert notes["runbook_url"] == runbook.link(alert["alert"])


def test_each_panel_leads_to_its_line_of_the_runbook() -> None:
    wanted = [panel for row in rows() for panel in row.panels]
    shown = panels()
    assert [panel["title"] for panel in shown] == [panel.title for panel in wanted]
    for panel, plan in zip(shown, wanted, strict=True):
        (link,) = panel["links"]
        assert link["url"] == runbook.link(plan.runbook)
        assert panel["description"] and panel["fieldConfig"]["defaults"]["unit"]


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    document = json.loads((FILES / "dashboard.json").read_text())
    taken: set[tuple[int, int]] = set()
    for panel in document["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    ids = [panel["id"] for panel in document["panels"]]
    assert len(set(ids)) == len(ids)


def test_the_base_of_all_runbook_links_is_one_value() -> None:
    for text in documents().values():
        links = re.findall(r"[^\s\"]+RUNBOOK\.md", text)
        assert set(links) == {runbook.BASE}


def promtool(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, check=False, cwd=ROOT
    )
