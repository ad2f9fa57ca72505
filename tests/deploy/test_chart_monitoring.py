"""Rules and dashboard of a release are about that release and link to the runbook of its people."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.monitoring import runbook
from deploy.monitoring.__main__ import FILES, main
from tests.deploy.chart import MINIMAL, Object, objects, of_kind, one
from tests.services.require import require_program

UNIT_TESTS = Path(__file__).with_name("alerts_test.yaml")
WIKI = "https://wiki.example.org/RUNBOOK.md"
SWITCHES = ("podMonitor", "prometheusRule", "dashboard")
ALL: dict[str, Any] = {name: {"enabled": True} for name in SWITCHES}


def watched(release: str = "mm", namespace: str = "cameras", **values: object) -> list[Object]:
    return objects(MINIMAL | {"monitoring": ALL | values}, release, namespace)


def rules(found: list[Object]) -> list[dict[str, Any]]:
    groups = one(found, "PrometheusRule")["spec"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard(found: list[Object]) -> tuple[str, dict[str, Any]]:
    """Return the name of the file and what is in it."""
    [config] = [
        each
        for each in of_kind(found, "ConfigMap")
        if each["metadata"]["labels"].get("grafana_dashboard") == "1"
    ]
    [(name, text)] = config["data"].items()
    return name, json.loads(text)


def asked(board: dict[str, Any]) -> list[str]:
    return [
        *(target["expr"] for panel in board["panels"] for target in panel.get("targets", ())),
        *(each["expr"] for each in board["annotations"]["list"] if "expr" in each),
        *(each["query"] for each in board["templating"]["list"] if "(" in each["query"]),
    ]


def test_every_series_that_is_asked_for_is_the_release_s_own() -> None:
    found = watched()
    scope = '{job="cameras/mm-multimodal-worker",namespace="cameras"'
    expressions = [rule["expr"] for rule in rules(found)] + asked(dashboard(found)[1])
    assert len(expressions) > 80
    for expr in expressions:
        names = re.findall(r"(?<![:\w])(?:\w+:)?(?:mmworker|process)_\w+(?::\w+)?", expr)
        assert names
        assert expr.count(scope) == len(names), expr


def test_without_a_scope_they_are_the_generated_ones() -> None:
    found = watched(seriesLabels={"job": "w"}, runbookUrl=runbook.BASE)
    groups = yaml.safe_load((FILES / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    plain = [rule for group in groups for rule in group["rules"]]
    for rule in (mine := rules(found)):
        rule["expr"] = rule["expr"].replace('{job="w",', "{").replace('{job="w"}', "")
    assert mine == plain


def test_two_releases_on_one_prometheus_and_one_grafana_do_not_meet() -> None:
    pairs = [("a", "cameras"), ("b", "cameras"), ("a", "doors")]
    found = [watched(release, namespace) for release, namespace in pairs]
    boards = [dashboard(each) for each in found]
    assert len({name for name, _ in boards}) == len(pairs)
    assert len({board["uid"] for _, board in boards}) == len(pairs)
    assert all(len(board["uid"]) <= 40 for _, board in boards)  # Grafana's limit
    assert len({board["title"] for _, board in boards}) == len(pairs)
    absent = [rule["expr"] for each in found for rule in rules(each) if "absent(" in rule["expr"]]
    assert len(set(absent)) == len(pairs)


def test_the_rules_of_a_release_pass_the_unit_tests_and_see_no_other_release(
    tmp_path: Path,
) -> None:
    require_program("promtool")
    found = watched(seriesLabels={"job": "w"})
    (tmp_path / "rules.json").write_text(json.dumps(one(found, "PrometheusRule")["spec"]))
    tests = yaml.safe_load(UNIT_TESTS.read_text(encoding="utf-8"))
    tests["rule_files"] = ["rules.json"]
    tests["tests"] = [
        {
            "interval": "1m",
            "input_series": [{"series": 'mmworker_build_info{job="other"}', "values": "1x60"}],
            "promql_expr_test": [
                {
                    "expr": 'ALERTS{alertname="MmworkerAbsent",alertstate="firing"}',
                    "eval_time": "6m",
                    "exp_samples": [
                        {
                            "labels": 'ALERTS{alertname="MmworkerAbsent",alertstate="firing",'
                            'job="w",severity="critical"}',
                            "value": 1,
                        }
                    ],
                }
            ],
        },
        *(each for each in tests["tests"] if "mmworker_degraded" in str(each)),
    ]
    (tmp_path / "tests.json").write_text(json.dumps(tests))
    tested = subprocess.run(
        ["promtool", "test", "rules", tmp_path / "tests.json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize("url", ["", WIKI])
def test_alerts_and_panels_link_to_the_runbook_that_the_values_name_or_to_none(url: str) -> None:
    found = watched(runbookUrl=url)
    named = [each["annotations"].get("runbook_url") for each in rules(found) if "alert" in each]
    _, board = dashboard(found)
    links = [link["url"] for each in (board, *board["panels"]) for link in each.get("links", ())]
    if not url:
        assert set(named) == {None}
        assert links == []
        return
    assert f"{WIKI}#mmworkerabsent" in named
    assert len(links) > 20
    assert all(each.startswith(WIKI) for each in (*named, *links))


def test_without_helm_the_runbook_is_an_option(tmp_path: Path) -> None:
    main(["--output", str(tmp_path), "--runbook-url", WIKI])
    for name in ("alerts.yaml", "dashboard.json"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert runbook.BASE not in text
        assert WIKI in text
