"""The schemas, their examples, the AsyncAPI document and the code agree with each other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.schemas.files import (
    EXAMPLE_NAMES,
    SCHEMA_NAMES,
    SCHEMAS,
    Schema,
    faults,
    load_example,
    load_schema,
    parts,
    resolved,
    schema_of,
    undeclared,
)
from worker.core.alerts import CLOSED_FOR, Kind
from worker.core.events import EVENT_TYPES, MODALITIES, Modality
from worker.core.messages import AlertType, Label
from worker.core.messages.feedback import EFFECTS
from worker.core.messages.redrive import RedriveOf
from worker.core.moment import ClosedBy
from worker.core.policy import Severity
from worker.core.verdicts import LEAST, MOST
from worker.errors import Reason

TOPICS = {
    "frames",
    "captions",
    "audio",
    "alerts",
    "observations",
    "dead-letters",
    "late-events",
    "feedback",
}


@pytest.fixture(scope="module")
def asyncapi() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((SCHEMAS / "asyncapi.yaml").read_text("utf-8"))
    return document


def test_all_contracts_have_a_schema() -> None:
    headers = [f"headers.{name}.v1" for name in ("dead-letter", "input", "late-event", "output")]
    messages = ["alert.v1", "feedback.v1", "label.v1", "observation.v1"]
    assert sorted([*messages, *headers]) == SCHEMA_NAMES


@pytest.mark.parametrize("name", SCHEMA_NAMES)
class TestEachSchema:
    def test_is_of_json_schema_2020_12(self, name: str) -> None:
        schema = load_schema(name)
        assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
        Draft202012Validator.check_schema(schema)

    def test_has_a_urn_with_its_name_and_version(self, name: str) -> None:
        assert load_schema(name)["$id"] == "urn:multimodal-worker:schema:" + name.replace(".", ":")

    def test_describes_every_field(self, name: str) -> None:
        fields = [
            (path, part)
            for path, part in parts(load_schema(name))
            if path.split("/")[-2:-1] == ["properties"] and "/if/" not in path
        ]
        assert fields
        assert [path for path, part in fields if not part.get("description")] == []

    def test_stays_open_for_fields_to_come(self, name: str) -> None:
        for _, part in parts(load_schema(name)):
            assert part.get("additionalProperties") is not False
            assert "unevaluatedProperties" not in part

    def test_uses_no_keyword_that_a_draft_7_tool_reads_otherwise(self, name: str) -> None:
        for _, part in parts(load_schema(name)):
            assert not part.keys() & {"prefixItems", "dependentSchemas", "$dynamicRef", "$anchor"}
            if "$ref" in part:
                assert part.keys() <= {"$ref", "description"}  # draft 7 ignores siblings

    def test_defines_nothing_that_is_not_used(self, name: str) -> None:
        schema = load_schema(name)
        used = {part["$ref"] for _, part in parts(schema) if "$ref" in part}
        assert used == {f"#/$defs/{definition}" for definition in schema.get("$defs", {})}

    def test_shows_every_declared_field_in_an_example(self, name: str) -> None:
        examples = [load_example(each) for each in EXAMPLE_NAMES if schema_of(each) == name]
        optional = {"$.ce_dataref"}  # refused by default
        assert declared_paths(load_schema(name)) - optional <= {
            path for example in examples for path in paths(example)
        }


def declared_paths(schema: Schema, root: Schema | None = None, path: str = "$") -> set[str]:
    root = root or schema
    schema = resolved(schema, root)
    found = {path} - {"$"}
    for name, inner in schema.get("properties", {}).items():
        found |= declared_paths(inner, root, f"{path}.{name}")
    if "items" in schema:
        found |= declared_paths(schema["items"], root, f"{path}[]")
    return found


def paths(value: object, path: str = "$") -> Iterator[str]:
    yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from paths(inner, f"{path}.{name}")
    if isinstance(value, list):
        for inner in value:
            yield from paths(inner, f"{path}[]")


@pytest.mark.parametrize("name", EXAMPLE_NAMES)
def test_an_example_is_as_its_schema_says(name: str) -> None:
    example = load_example(name)
    if name.startswith(("headers.dead-letter", "headers.late-event")):
        own = {key: value for key, value in example.items() if key.startswith("mmworker.")}
        original = {key: value for key, value in example.items() if key not in own}
        assert faults(original, load_schema("headers.input.v1")) == []
        example = own
    assert faults(example, load_schema(schema_of(name))) == []


def test_faults_are_found() -> None:
    schema = load_schema("alert.v1")
    example = load_example("alert.open")
    assert list(undeclared({**example, "new": 1}, schema, schema)) == ["$.new"]
    nested = {**example, "inputs": [{"new": 1}]}
    assert list(undeclared(nested, schema, schema)) == ["$.inputs[].new"]
    assert faults({**example, "score": 1.1}, schema) != []
    assert faults({**example, "window_end": "2026-02-30T00:00:00.000Z"}, schema) != []


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({}, True),
        ({"content-type": "image/webp"}, True),
        ({"content-type": "audio/wav"}, False),
        ({"ce_type": "multimodal.audio.v1"}, False),
        ({"ce_type": "multimodal.audio.v1", "content-type": "audio/L16;rate=16000"}, True),
        ({"ce_specversion": "0.3"}, False),
        ({"ce_time": "2026-03-14T09:26:53"}, False),
        ({"ce_id": ""}, False),
        ({"x-own": "anything"}, True),
    ],
)
def test_input_headers_are_checked(change: dict[str, str], fits: bool) -> None:
    headers = {**load_example("headers.input.frame"), **change}
    validator = Draft202012Validator(
        load_schema("headers.input.v1"), format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    assert validator.is_valid(headers) is fits


def test_definitions_of_the_same_name_are_the_same_in_all_files() -> None:
    seen: dict[str, Schema] = {}
    for name in SCHEMA_NAMES:
        for definition, schema in load_schema(name).get("$defs", {}).items():
            assert seen.setdefault(definition, schema) == schema


def test_closed_lists_are_those_of_the_code() -> None:
    alert, observation = load_schema("alert.v1"), load_schema("observation.v1")
    decision = observation["$defs"]["decision"]["properties"]
    errors = load_schema("headers.dead-letter.v1")["properties"]
    types = load_schema("headers.input.v1")["properties"]["ce_type"]["enum"]
    label = load_schema("feedback.v1")["properties"]["label"]["enum"]
    heeded = observation["properties"]["feedback"]["items"]["properties"]
    assert heeded["label"]["enum"] == label
    assert heeded["effect"]["enum"] == list(EFFECTS)
    assert [heeded["factor"][each] for each in ("minimum", "maximum")] == [LEAST, MOST]
    pairs = {f"{a}-{b}" for i, a in enumerate(MODALITIES) for b in MODALITIES[i + 1 :]}
    assert alert["$defs"]["modality"]["enum"] == list(Modality)
    assert set(alert["$defs"]["contributions"]["properties"]) == set(Modality)
    assert set(alert["$defs"]["consistency"]["properties"]) == pairs
    assert alert["$defs"]["severity"]["enum"] == list(Severity)
    assert decision["severity"]["enum"] == [*Severity, None]
    assert alert["properties"]["type"]["enum"] == list(get_args(AlertType))
    assert decision["kind"]["enum"] == list(get_args(Kind))
    assert decision["closed_for"]["enum"] == list(CLOSED_FOR)
    assert alert["properties"]["closed_for"]["enum"] == list(CLOSED_FOR)
    assert observation["properties"]["closed_by"]["enum"] == list(ClosedBy)
    assert errors["mmworker.error.reason"]["enum"] == list(Reason)
    assert types == list(EVENT_TYPES)
    for name in ("input", "dead-letter", "late-event"):
        of = load_schema(f"headers.{name}.v1")["properties"]["mmworker.redrive.of"]["enum"]
        assert of == list(get_args(RedriveOf))
    assert label == list(get_args(Label))


def test_asyncapi_has_all_topics_in_their_direction(asyncapi: dict[str, Any]) -> None:
    addresses = {name: channel["address"] for name, channel in asyncapi["channels"].items()}
    assert sorted(addresses.values()) == sorted(TOPICS)
    directions = {
        addresses[operation["channel"]["$ref"].removeprefix("#/channels/")]: operation["action"]
        for operation in asyncapi["operations"].values()
    }
    received = {"frames", "captions", "audio", "feedback"}
    assert directions == {t: "receive" if t in received else "send" for t in TOPICS}


def test_asyncapi_references_resolve(asyncapi: dict[str, Any]) -> None:
    references = list(references_in(asyncapi))
    assert len(references) > 30
    for reference in references:
        assert target(reference, asyncapi)


def test_asyncapi_examples_are_the_example_files_and_fit(asyncapi: dict[str, Any]) -> None:
    for message in asyncapi["components"]["messages"].values():
        for example in message["examples"]:
            stored = load_example(example["name"])
            is_headers = example["name"].startswith("headers.")
            assert example["headers" if is_headers else "payload"] == stored
            for part in ("headers", "payload"):
                if part in example:
                    assert fits(example[part], message[part], asyncapi)


def references_in(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references_in(inner)
    if isinstance(value, list):
        for inner in value:
            yield from references_in(inner)


def target(reference: str, document: dict[str, Any]) -> Schema:
    """Return what a reference in the document names, inside of it or in a file beside it."""
    if reference.startswith("./"):
        schema: Schema = json.loads((SCHEMAS / reference).read_text("utf-8"))
        return schema
    found = document
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def fits(value: object, schema: Schema, document: dict[str, Any]) -> bool:
    if "allOf" in schema:
        return all(fits(value, part, document) for part in schema["allOf"])
    return Draft202012Validator(
        target(schema["$ref"], document), format_checker=Draft202012Validator.FORMAT_CHECKER
    ).is_valid(value)
