"""The schema files, and what may be asked of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMAS = Path(__file__).parents[2] / "schemas"
EXAMPLES = SCHEMAS / "examples"
SCHEMA_NAMES = sorted(path.name.removesuffix(".schema.json") for path in SCHEMAS.glob("*.json"))
EXAMPLE_NAMES = sorted(path.stem for path in EXAMPLES.glob("*.json"))

Schema = dict[str, Any]


def load_schema(name: str) -> Schema:
    """Return a schema by its name, such as `alert.v1`."""
    schema: Schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    return schema


def load_example(name: str) -> dict[str, Any]:
    """Return an example by its name, such as `alert.open`."""
    example: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    return example


def schema_of(example: str) -> str:
    """Return the name of the schema that an example is for."""
    stem = example.removeprefix("headers.").partition(".")[0]
    return f"headers.{stem}.v1" if example.startswith("headers.") else f"{stem}.v1"


def faults(value: object, schema: Schema) -> list[str]:
    """Return what is wrong with the value: broken rules, formats, and undeclared properties."""
    checker = Draft202012Validator.FORMAT_CHECKER
    validator = Draft202012Validator(schema, format_checker=checker)
    broken = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]
    return broken + [f"{path}: undeclared" for path in undeclared(value, schema, schema)]


def undeclared(value: object, schema: Schema, root: Schema, path: str = "$") -> Iterator[str]:
    """Yield the paths of the properties that no part of the schema declares."""
    schema = resolved(schema, root)
    if isinstance(value, dict):
        for name, inner in value.items():
            declared = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            if declared is None:
                yield f"{path}.{name}"
            else:
                yield from undeclared(inner, declared, root, f"{path}.{name}")
    if isinstance(value, list):
        for inner in value:
            yield from undeclared(inner, schema["items"], root, f"{path}[]")


def resolved(schema: Schema, root: Schema) -> Schema:
    """Follow a reference into `$defs`; they are the only ones that the files use."""
    reference = schema.get("$ref")
    if reference is None:
        return schema
    target: Schema = root["$defs"][reference.removeprefix("#/$defs/")]
    return target


def parts(schema: Schema, path: str = "#") -> Iterator[tuple[str, Schema]]:
    """Yield every subschema with its path, the schema itself first."""
    yield path, schema
    for keyword in ("properties", "$defs"):
        for name, inner in schema.get(keyword, {}).items():
            yield from parts(inner, f"{path}/{keyword}/{name}")
    for keyword in ("items", "additionalProperties", "if", "then"):
        if keyword in schema:
            yield from parts(schema[keyword], f"{path}/{keyword}")
    for keyword in ("allOf", "anyOf"):
        for inner in schema.get(keyword, []):
            yield from parts(inner, f"{path}/{keyword}")
