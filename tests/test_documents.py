"""What the documents say is what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.adapters.prometheus import metrics_table
from worker.config import markdown_table

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("name", "table"), [("configuration", markdown_table()), ("metrics", metrics_table())]
)
def test_the_generated_tables_in_the_readme_are_current(name: str, table: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
    shown = readme[readme.index(begin) + len(begin) : readme.index(end)]
    assert shown.strip() == table.strip(), f"run `make tables` to renew the {name} table"
