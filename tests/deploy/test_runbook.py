"""The runbook has what alerts and panels send people to."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from deploy.monitoring import runbook
from deploy.monitoring.__main__ import FILES
from worker.cli.app import app

ROOT = Path(__file__).parents[2]
WORKER = ROOT / "worker"
TEXT = (ROOT / "deploy" / "RUNBOOK.md").read_text(encoding="utf-8")
PARTS = ("Means", "Look", "Do", "Over when")
ALERTS = [
    rule
    for group in yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
]


def sections() -> dict[str, str]:
    """Return the text of each section by its heading."""
    parts = re.split(r"^#+ (.+)$", TEXT, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def anchors() -> set[str]:
    return {runbook.anchor(heading) for heading in sections()}


def headings_under(title: str) -> list[str]:
    chapter = TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"^### (.+)$", chapter, re.MULTILINE)


@pytest.mark.parametrize("name", [alert["alert"] for alert in ALERTS])
def test_each_alert_has_its_section_in_four_parts(name: str) -> None:
    section = sections()[name]
    found = re.findall(r"^\*\*([^*]+)\*\* ", section, re.MULTILINE)
    assert tuple(found) == PARTS


def test_there_is_no_section_of_an_alert_that_does_not_exist() -> None:
    assert sorted(headings_under("Alerts")) == sorted(alert["alert"] for alert in ALERTS)


def test_each_way_to_do_something_says_how_to_prove_that_it_is_done() -> None:
    for heading in headings_under("How to"):
        assert re.search(r"^Prove: ", sections()[heading], re.MULTILINE), heading


def test_each_link_from_alerts_panels_and_within_leads_somewhere() -> None:
    links = [alert["annotations"]["runbook_url"] for alert in ALERTS]
    for panel in json.loads((FILES / "dashboard.json").read_text())["panels"]:
        links += [link["url"] for link in panel.get("links", ())]
    links += re.findall(r"\]\((#[^)]+)\)", TEXT)
    assert len(links) > len(ALERTS) + 20
    assert {link.rpartition("#")[2] for link in links} <= anchors()


def test_the_worker_says_the_sentences_that_are_quoted() -> None:
    code = "".join(each.read_text(encoding="utf-8") for each in sorted(WORKER.rglob("*.py")))
    said = re.sub(r'"\s*f?"', "", code)  # a sentence may go on in the next line
    chapter = TEXT.split("\n## What a worker says when it stops\n")[1].split("\n## ")[0]
    quoted = re.findall(r'"([^"]+)"', chapter)
    assert len(quoted) > 15
    for sentence in quoted:
        pattern = re.escape(sentence).replace(re.escape("..."), r"\{[^}]+\}")
        assert re.search(pattern, said), sentence


def test_the_commands_that_it_names_exist_with_their_options() -> None:
    named = [line.split() for line in re.findall(r"mmworker ([a-z-]+[^`|#\n]*)", TEXT)]
    groups: dict[str, Any] = vars(get_command(app))["commands"]
    assert len(named) > 20
    for first, *rest in named:
        commands = getattr(groups[first], "commands", None)
        if commands is not None:
            known = {option for each in commands[rest[0]].params for option in each.opts}
            assert {word for word in rest if word.startswith("--")} <= known | {"--help"}, rest


def test_only_what_is_recorded_and_exported_is_asked_for() -> None:
    recorded = set(re.findall(r"record: (\S+)", (FILES / "alerts.yaml").read_text()))
    assert set(re.findall(r"\b\w+:mmworker[\w:]+", TEXT)) <= recorded


def test_no_address_of_a_machine_is_in_it() -> None:
    assert not re.search(r"https?://", TEXT)
