"""Renews the generated tables in README.md, and the chart's files: `make tables`."""

from __future__ import annotations

import re
from pathlib import Path

from deploy.chart import write as chart_files
from tests.deploy import chart
from worker.adapters.prometheus import metrics_table
from worker.config import markdown_table

README = Path(__file__).parents[1] / "README.md"


def main() -> None:
    """Put the current tables between their marks."""
    text = README.read_text(encoding="utf-8")
    for name, table in (("configuration", markdown_table()), ("metrics", metrics_table())):
        marks = rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)"
        escaped = table.strip().replace("\\", r"\\")
        text = re.sub(marks, rf"\g<1>{escaped}\n\g<2>", text, flags=re.DOTALL)
    README.write_text(text, encoding="utf-8")
    chart_files.write()
    chart.keep()


if __name__ == "__main__":
    main()
