"""Says what a setting may be, in words made from its JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.config.model import Config

_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "a text",
}


def allowed(key: str) -> str:
    """Return what a value of this key must be, as the words after "must be".

    >>> allowed("scoring.calibration_moments")
    'a whole number from 20 to 100000'
    """
    schema = Config.model_json_schema(by_alias=True)
    if "." not in key:
        return "a section of fields"
    section, field = key.split(".")
    definition = schema["properties"][section]["$ref"].rpartition("/")[2]
    return _words(schema["$defs"][definition]["properties"][field])


def _words(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        words = [_words(each) for each in schema["anyOf"] if each.get("type") != "null"]
        return " or ".join(words)
    if "const" in schema or "enum" in schema:
        return _choice(schema)
    if schema["type"] == "array":
        return "a list of at least one of " + ", ".join(schema["items"]["enum"])
    return _KINDS[schema["type"]] + (_bounds(schema) if "minimum" in schema else _form(schema))


def _choice(schema: Mapping[str, Any]) -> str:
    if "const" in schema:
        return str(schema["const"])
    return "one of " + ", ".join(value or "''" for value in schema["enum"])


def _bounds(schema: Mapping[str, Any]) -> str:
    return f" from {schema['minimum']:.16g} to {schema['maximum']:.16g}"


def _form(schema: Mapping[str, Any]) -> str:
    if "examples" in schema:
        return f" such as {schema['examples'][0]}"
    if "pattern" in schema:
        return f" that matches {schema['pattern']}"
    if "maxLength" in schema:
        return f" of {schema.get('minLength', 0)} to {schema['maxLength']} characters"
    return ""
