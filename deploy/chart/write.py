"""Writes `values.yaml`, `values.schema.json` and the tables of the chart's README."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import Any

from pydantic.fields import FieldInfo

from deploy.chart.base import Values
from deploy.chart.schema import SET_BY_CHART, values_schema
from deploy.chart.values import ChartValues
from worker.config import markdown_table

CHART = Path(__file__).parents[1] / "helm"
_HEAD = """\
# Made from deploy/chart by `make tables`: what each value means, and its default.
# Give your own in a file of yours: helm install NAME deploy/helm -f my-values.yaml
"""
_COLUMNS = 100


def generated() -> dict[str, str]:
    """Return the text of each generated file by its path inside the chart."""
    readme = (CHART / "README.md").read_text(encoding="utf-8")
    for name, table in (("values", values_table()), ("configuration", configuration_table())):
        readme = _between_marks(readme, name, table)
    return {
        "values.yaml": values_file(),
        "values.schema.json": json.dumps(values_schema(), indent=2) + "\n",
        "README.md": readme,
    }


def write() -> None:
    """Renew the files."""
    for name, text in generated().items():
        (CHART / name).write_text(text, encoding="utf-8")


def values_file() -> str:
    """Return the defaults as YAML, each under its meaning."""
    return _HEAD + "\n".join(_lines(ChartValues(), 0)) + "\n"


def values_table() -> str:
    """Return the table of all values: key, default, meaning."""
    rows = [
        f"| `{key}` | `{json.dumps(value)}` | {_meaning(field)} |"
        for key, value, field in _leaves(ChartValues(), "")
    ]
    return "\n".join(["| value | default | meaning |", "|---|---|---|", *rows]) + "\n"


def configuration_table() -> str:
    """Return the worker's own table, less the rows that the chart sets itself."""
    own = {f"{section}.{field}" for section, fields in SET_BY_CHART.items() for field in fields}
    rows = [row.replace("| `", "| `config.", 1) for row in markdown_table().splitlines()[2:]]
    kept = [row for row in rows if row.split("`")[1].removeprefix("config.") not in own]
    return "\n".join(["| value | default | meaning |", "|---|---|---|", *kept]) + "\n"


def _fields(values: Values) -> Iterator[tuple[str, Any, FieldInfo]]:
    """Yield key, default and description, in order; what is absent by default is left out."""
    for name, field in type(values).model_fields.items():
        value = getattr(values, name)
        if value is not None:
            yield field.alias or name, value, field


def _lines(values: Values, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for key, value, field in _fields(values):
        if depth == 0:
            yield ""
        meaning = wrap(_meaning(field), _COLUMNS - len(indent) - 2)
        yield from (f"{indent}# {line}" for line in meaning)
        if isinstance(value, Values):
            yield f"{indent}{key}:"
            yield from _lines(value, depth + 1)
        else:
            yield f"{indent}{key}: {json.dumps(value)}"


def _leaves(values: Values, prefix: str) -> Iterator[tuple[str, Any, FieldInfo]]:
    for key, value, field in _fields(values):
        if isinstance(value, Values):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value, field


def _meaning(field: FieldInfo) -> str:
    return field.description or ""


def _between_marks(text: str, name: str, table: str) -> str:
    marks = rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)"
    escaped = table.replace("\\", r"\\")
    return re.sub(marks, rf"\g<1>{escaped}\g<2>", text, flags=re.DOTALL)


if __name__ == "__main__":
    write()
