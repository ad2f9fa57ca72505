"""The JSON Schema of the chart's values, with the worker's own configuration schema inside."""

from __future__ import annotations

from typing import Any

from deploy.chart.values import ChartValues
from worker.config import json_schema as worker_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"

# What the chart sets itself, by section: files of secrets, identity and address of the pod.
SET_BY_CHART = {
    "kafka": (
        "sasl_password_file",
        "sasl_token_file",
        "ssl_cafile",
        "ssl_certfile",
        "ssl_keyfile",
        "group_instance_id",
    ),
    "redis": ("password_file",),
    "models": ("bundle",),
    "http": ("host",),
}
_FIRST_FREE_PORT = 1024  # the worker runs without the right to bind lower ones


def values_schema() -> dict[str, Any]:
    """Return the schema of `values.yaml`: a misspelt key fails at `helm install`."""
    schema = ChartValues.model_json_schema(by_alias=True)
    config = config_schema()
    definitions = schema["$defs"] | config.pop("$defs")
    schema["properties"]["config"] = config | {
        "description": schema["properties"]["config"]["description"]
    }
    # Helm puts `global` into the values of every chart.
    schema["properties"]["global"] = {"type": "object"}
    schema["$defs"] = dict(sorted(definitions.items()))
    plain: dict[str, Any] = _plain({"$schema": DIALECT} | schema)
    return plain


def config_schema() -> dict[str, Any]:
    """Return the worker's schema less what the chart sets itself."""
    schema = worker_schema()
    del schema["$schema"]
    for section, fields in SET_BY_CHART.items():
        properties = section_of(schema, section)["properties"]
        for field in fields:
            properties.pop(field, None)
    section_of(schema, "http")["properties"]["port"]["minimum"] = _FIRST_FREE_PORT
    return schema


def _plain(node: Any) -> Any:
    """Return the schema less titles, which repeat keys, and defaults of groups."""
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if not isinstance(node, dict):
        return node
    dropped = {"default"} if "$ref" in node else set()
    if isinstance(node.get("title"), str):
        dropped.add("title")
    return {key: _plain(value) for key, value in node.items() if key not in dropped}


def section_of(schema: dict[str, Any], section: str) -> dict[str, Any]:
    """Return the definition of a section of the worker's schema."""
    name = schema["properties"][section]["$ref"].rpartition("/")[2]
    definition: dict[str, Any] = schema["$defs"][name]
    return definition
