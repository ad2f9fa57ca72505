"""Says what a setting may be, in words made from its JSON Schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from worker.config.model import Config

Within = tuple[int | str, ...]  # where in a setting that is a section, or a list of them


def allowed(key: str, within: Within = ()) -> str:
    """Return what a value of this key must be, as the words after "must be".

    >>> allowed("scoring.calibration_moments")
    'a whole number from 20 to 100000'
    >>> allowed("scoring.sources", (0, "schedule"))
    'a text such as 22:00-06:00'
    """
    return "a section of fields" if "." not in key else _words(_schema_of(key, within))


def is_section(key: str) -> bool:
    """Tell whether the setting is a section of its own.

    >>> is_section("scoring.shadow"), is_section("scoring.seed"), is_section("scoring")
    (True, False, False)
    """
    return "." in key and "properties" in _schema_of(key, ())


def fields_of(key: str, within: Within) -> list[str]:
    """Return the fields that a section within a setting has.

    >>> fields_of("scoring.sources", (0, "maintenance", 0))
    ['begin', 'end']
    """
    return list(_schema_of(key, within)["properties"])


def path_text(within: Within) -> str:
    """Return where it is as text.

    >>> path_text((0, "maintenance", 1, "begin"))
    '[0].maintenance[1].begin'
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in within)


def _schema_of(key: str, within: Within) -> Mapping[str, Any]:
    whole = Config.model_json_schema(by_alias=True)

    def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
        reference = schema.get("$ref")
        return schema if reference is None else whole["$defs"][reference.rpartition("/")[2]]

    found: Mapping[str, Any] = whole
    for part in (*key.split("."), *within):
        outer = next(_choices(found), found)
        found = resolved(outer["items"] if isinstance(part, int) else outer["properties"][part])
    return found


def _choices(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield what a value may be, of several schemas, besides nothing."""
    return (each for each in schema.get("anyOf", ()) if each.get("type") != "null")


def _words(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        shown = {name: schema[name] for name in ("examples",) if name in schema}
        return " or ".join(_words({**each, **shown}) for each in _choices(schema))
    if "const" in schema or "enum" in schema:
        return _choice(schema)
    return _WORDS[schema["type"]](schema)


def _choice(schema: Mapping[str, Any]) -> str:
    if "const" in schema:
        return str(schema["const"])
    return "one of " + ", ".join(value or "''" for value in schema["enum"])


def _list(schema: Mapping[str, Any]) -> str:
    if "enum" in schema["items"]:
        return "a list of at least one of " + ", ".join(schema["items"]["enum"])
    kind = _LISTED.get(schema["items"].get("type", "object"), "sections")
    return f"a list of at most {schema['maxItems']} {kind}"


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


_LISTED = {"string": "texts", "array": "lists"}
_WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "integer": lambda schema: "a whole number" + _bounds(schema),
    "number": lambda schema: "a number" + _bounds(schema),
    "string": lambda schema: "a text" + _form(schema),
    "boolean": lambda _: "true or false",
    "array": _list,
    "object": lambda schema: "a section with " + ", ".join(schema["properties"]),
}
