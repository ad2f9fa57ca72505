"""What the documents say is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from worker.adapters.prometheus import metrics_table
from worker.config import markdown_table
from worker.core.sizing import MEASURED

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/**/*.md")])


@pytest.mark.parametrize(
    ("file", "name", "table"),
    [
        ("configuration.md", "configuration", markdown_table()),
        ("operating.md", "metrics", metrics_table()),
    ],
)
def test_the_generated_tables_are_current(file: str, name: str, table: str) -> None:
    text = (ROOT / "docs" / file).read_text(encoding="utf-8")
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
    shown = text[text.index(begin) + len(begin) : text.index(end)]
    assert shown.strip() == table.strip(), f"run `make tables` to renew the {name} table"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: str(each.relative_to(ROOT)))
def test_links_lead_to_a_file_and_a_heading_in_it(document: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", document.read_text(encoding="utf-8")):
        name, _, heading = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        assert target.exists(), link
        assert not heading or heading in anchors(target), link


def anchors(document: Path) -> set[str]:
    """Return the names under which a document's headings can be linked to."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


def test_plans_count_on_the_speed_and_memory_that_were_measured() -> None:
    measured = (ROOT / "docs" / "measured.md").read_text(encoding="utf-8")
    figures = {
        name: float(re.findall(rf"^\| {name}.*?\| ([\d.]+)", measured, re.MULTILINE)[0])
        for name in ("bare loop", "Kafka and Redis on the same cores, cold cache", "peak resident")
    }
    bare, ratio, gigabytes = figures.values()
    assert MEASURED.worker_moments_per_second == pytest.approx(bare * ratio, rel=0.02)
    assert MEASURED.worker_bytes == pytest.approx(gigabytes * 1e9)
