"""What is made from the models of the values is current."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from deploy.chart.schema import SET_BY_CHART, section_of
from deploy.chart.write import generated
from tests.deploy.chart import (
    CHART,
    EXAMPLES,
    RENDERED,
    kept_text,
)
from worker.config import json_schema

RENEW = "run `make tables` to renew it"


@pytest.mark.parametrize("name", ["README.md", "values.schema.json", "values.yaml"])
def test_the_generated_files_of_the_chart_are_current(name: str) -> None:
    assert (CHART / name).read_text(encoding="utf-8") == generated()[name], RENEW


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_renders_to_what_is_kept(name: str) -> None:
    assert (RENDERED / f"{name}.yaml").read_text(encoding="utf-8") == kept_text(name), RENEW


def test_nothing_else_is_kept() -> None:
    assert sorted(file.stem for file in RENDERED.iterdir()) == EXAMPLES


def test_the_schema_of_the_values_is_a_schema() -> None:
    Draft202012Validator.check_schema(json.loads((CHART / "values.schema.json").read_text()))


def test_every_setting_of_the_worker_can_be_set_in_the_chart_or_is_set_by_it() -> None:
    chart = json.loads((CHART / "values.schema.json").read_text())
    ours = {"properties": chart["properties"]["config"]["properties"], "$defs": chart["$defs"]}
    theirs = json_schema()
    assert ours["properties"].keys() == theirs["properties"].keys()
    for section in theirs["properties"]:
        fields = set(section_of(theirs, section)["properties"])
        left_out = fields & set(SET_BY_CHART.get(section, ()))
        definition = section_of(ours, section)
        assert set(definition["properties"]) == fields - left_out
        assert definition["additionalProperties"] is False


def test_no_group_of_values_takes_unknown_keys() -> None:
    chart = json.loads((CHART / "values.schema.json").read_text())
    groups = [chart, chart["properties"]["config"], *chart["$defs"].values()]
    assert all(group["additionalProperties"] is False for group in groups if "properties" in group)


def test_the_readme_lists_the_examples() -> None:
    readme = (CHART / "README.md").read_text(encoding="utf-8")
    listed = [line.split("`")[1] for line in readme.splitlines() if "-values.yaml` |" in line]
    assert sorted(listed) == [f"{name}-values.yaml" for name in EXAMPLES]


def test_the_dashboard_fits_into_a_config_map() -> None:
    dashboard = CHART / "files" / "dashboard.json"
    assert json.loads(dashboard.read_text(encoding="utf-8"))["uid"]
    assert dashboard.stat().st_size < 900_000  # a ConfigMap holds 1 MiB
