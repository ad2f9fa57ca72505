"""What the documents say is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from worker.adapters.prometheus import metrics_table
from worker.config import markdown_table
from worker.core.sizing import MEASURED

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("name", "table"), [("configuration", markdown_table()), ("metrics", metrics_table())]
)
def test_the_generated_tables_in_the_readme_are_current(name: str, table: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
    shown = readme[readme.index(begin) + len(begin) : readme.index(end)]
    assert shown.strip() == table.strip(), f"run `make tables` to renew the {name} table"


def test_plans_count_on_the_speed_and_memory_that_were_measured() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    figures = {
        name: float(re.findall(rf"^\| {name}.*?\| ([\d.]+)", readme, re.MULTILINE)[0])
        for name in ("bare loop", "Kafka and Redis on the same cores, cold cache", "peak resident")
    }
    bare, ratio, gigabytes = figures.values()
    assert MEASURED.worker_moments_per_second == pytest.approx(bare * ratio, rel=0.02)
    assert MEASURED.worker_bytes == pytest.approx(gigabytes * 1e9)
