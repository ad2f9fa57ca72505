"""Each threat in the security document has a test that exists, and the rights are the worker's."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from deploy.monitoring import runbook
from worker.adapters.kafka.rights import rights_table

TESTS = Path(__file__).parents[1]
DOCUMENT = TESTS.parent / "deploy" / "SECURITY.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
THREATS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.split("## Threats")[1].split("\n## ")[0].splitlines()
    if line.startswith("| ") and not line.startswith("| threat |")
]


@pytest.mark.parametrize("threat", THREATS, ids=[threat for threat, *_ in THREATS])
def test_each_threat_names_tests_that_exist(threat: list[str]) -> None:
    _, defence, tests = threat
    named = re.findall(r"`([^`]+)`", tests)
    assert defence
    assert named
    for each in named:
        file, _, name = each.partition("::")
        known = named_in(TESTS / file)
        assert known
        assert name == "*" or name in known, each


def test_the_rights_are_those_that_the_worker_asks_for() -> None:
    shown = TEXT.split("<!-- begin rights -->\n")[1].split("<!-- end rights -->")[0]
    assert shown.strip() == rights_table().strip(), "run `make tables`"


def test_each_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        file, _, anchor = target.partition("#")
        text = (DOCUMENT.parent / file).read_text(encoding="utf-8") if file else TEXT
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        assert anchor in {runbook.anchor(heading) for heading in headings}


def named_in(file: Path) -> set[str]:
    """Return the names of a file's tests, those of classes as CLASS::TEST."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}
    for kind in (each for each in tree.body if isinstance(each, ast.ClassDef)):
        found |= {
            f"{kind.name}::{one.name}" for one in kind.body if isinstance(one, ast.FunctionDef)
        }
    return {name for name in found if name.rpartition("::")[2].startswith("test_")}
