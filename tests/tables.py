"""Renews the generated tables in the documents, and the chart's files: `make tables`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from deploy.chart import write as chart_files
from tests.deploy import chart
from worker.adapters.kafka.rights import rights_table
from worker.adapters.prometheus import metrics_table
from worker.config import markdown_table

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Put the current tables between their marks."""
    _renew(ROOT / "docs" / "configuration.md", {"configuration": markdown_table()})
    _renew(ROOT / "docs" / "operating.md", {"metrics": metrics_table()})
    _renew(ROOT / "deploy" / "SECURITY.md", {"rights": rights_table()})
    chart_files.write()
    chart.keep()


def _renew(file: Path, tables: Mapping[str, str]) -> None:
    text = file.read_text(encoding="utf-8")
    for name, table in tables.items():
        marks = rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)"
        escaped = table.strip().replace("\\", r"\\")
        text = re.sub(marks, rf"\g<1>{escaped}\n\g<2>", text, flags=re.DOTALL)
    file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
