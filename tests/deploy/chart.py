"""The chart as Helm renders it, by Helm's own library."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.deploy import helm

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm"
RENDERED = Path(__file__).parent / "rendered"
EXAMPLES = sorted(file.name.removesuffix("-values.yaml") for file in (CHART / "ci").iterdir())
MINIMAL = {"config": {"kafka": {"bootstrap_servers": "kafka:9092"}}}

Object = dict[str, Any]


def example(name: str) -> dict[str, Any]:
    """Return the values of an example."""
    values: dict[str, Any] = yaml.safe_load(
        (CHART / "ci" / f"{name}-values.yaml").read_text(encoding="utf-8")
    )
    return values


def objects(
    values: Mapping[str, Any], release: str = helm.RELEASE, namespace: str = helm.NAMESPACE
) -> list[Object]:
    """Return the objects of a release with these values. Raises as helm.rendered does."""
    documents = (
        document
        for path, text in sorted(helm.rendered(CHART, values, release, namespace).items())
        if path.endswith(".yaml")
        for document in yaml.safe_load_all(text)
    )
    return [document for document in documents if document]


@cache
def example_objects(name: str) -> tuple[Object, ...]:
    """Return the objects of an example."""
    return tuple(objects(example(name)))


def of_kind(found: list[Object] | tuple[Object, ...], kind: str) -> list[Object]:
    """Return the objects of a kind."""
    return [each for each in found if each["kind"] == kind]


def one(found: list[Object] | tuple[Object, ...], kind: str) -> Object:
    """Return the only object of a kind."""
    [only] = of_kind(found, kind)
    return only


def workload(found: list[Object] | tuple[Object, ...]) -> Object:
    """Return the Deployment or StatefulSet."""
    [only] = [each for each in found if each["kind"] in {"Deployment", "StatefulSet"}]
    return only


def pod(owner: Object) -> Object:
    """Return the specification of the pods that an object makes."""
    specification: Object = owner["spec"]["template"]["spec"]
    return specification


def worker(found: list[Object] | tuple[Object, ...]) -> Object:
    """Return the worker's container."""
    [container] = pod(workload(found))["containers"]
    assert isinstance(container, dict)
    return container


def config_text(found: list[Object] | tuple[Object, ...]) -> str:
    """Return the configuration file that the worker gets."""
    name = workload(found)["metadata"]["name"]
    [text] = [
        each["data"]["config.yaml"]
        for each in of_kind(found, "ConfigMap")
        if each["metadata"]["name"] == name
    ]
    assert isinstance(text, str)
    return text


def kept_text(name: str) -> str:
    """Return an example as it is kept beside the tests: keys in order, shipped files by name."""
    documents = [_without_files(each) for each in example_objects(name)]
    return yaml.dump_all(documents, Dumper=_Readable, sort_keys=True, width=100)


def keep() -> None:
    """Renew what is kept; `make tables` does."""
    for name in EXAMPLES:
        (RENDERED / f"{name}.yaml").write_text(kept_text(name), encoding="utf-8")


class _Readable(yaml.SafeDumper):
    """Writes a text of several lines as such."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        style = "|" if "\n" in data else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Readable.add_representer(str, _Readable.represent_str)


def _without_files(document: Object) -> Object:
    if document["kind"] == "PrometheusRule":
        return document | {"spec": "files/alerts.yaml"}
    if document["metadata"]["name"].endswith("-dashboard"):
        return document | {"data": dict.fromkeys(document["data"], "files/dashboard.json")}
    return document
