"""What the examples take for granted in a cluster: classes, volumes, GPUs, operators' kinds."""

from __future__ import annotations

import json
from typing import Any

from tests.deploy.chart import EXAMPLES, example, example_objects
from tests.deploy.cluster.tools import apply, get, has_kind, kubectl

_LABEL = {"mmworker-check": "true"}
_OPERATORS = {
    "ScaledObject": "scaledobjects.keda.sh",
    "PodMonitor": "podmonitors.monitoring.coreos.com",
}
_CAPACITY = "1Gi"
_VOLUME = {"accessModes": ["ReadOnlyMany"], "storageClassName": ""}
_STRIMZI = {"KafkaTopic": "kafkatopics", "KafkaUser": "kafkausers"}


def missing_operator(name: str) -> str | None:
    """Return the kind that an example needs and the cluster does not know, if any."""
    kinds = {each["kind"] for each in example_objects(name)}
    needed = [crd for kind, crd in _OPERATORS.items() if kind in kinds]
    return next((crd for crd in needed if not has_kind(crd)), None)


def prepare() -> None:
    """Make the classes and volumes that examples name, GPUs on simulated nodes, Strimzi's kinds.

    Strimzi's kinds are stand-ins without a schema where the operator is not installed.
    """
    apply(*_classes(), *map(_volume, filter(None, map(_claimed, EXAMPLES))))
    for kind, plural in _STRIMZI.items():
        if not has_kind(f"{plural}.kafka.strimzi.io"):
            apply(_stand_in(kind, plural))
    for node in get("nodes", "-l", "type=kwok")["items"]:
        _give_gpus(node["metadata"]["name"])


def clean_up() -> None:
    """Remove what was made, in the whole cluster."""
    labelled = ",".join(f"{key}={value}" for key, value in _LABEL.items())
    for kind in ("crd", "priorityclass", "runtimeclass", "namespace", "persistentvolume"):
        kubectl("delete", kind, "-l", labelled, "--ignore-not-found", "--wait=false")


def namespace(name: str) -> dict[str, Any]:
    """Return a namespace that takes only pods of Pod Security `restricted`."""
    restricted = {
        f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")
    }
    metadata = {"name": name, "labels": restricted | _LABEL}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def claims(name: str) -> list[dict[str, Any]]:
    """Return the claim that an example mounts, of the volume that was made for it."""
    claimed = _claimed(name)
    if claimed is None:
        return []
    spec = _VOLUME | {
        "volumeName": claimed,
        "resources": {"requests": {"storage": _CAPACITY}},
    }
    kind = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    return [kind | {"metadata": {"name": claimed}, "spec": spec}]


def _claimed(name: str) -> str | None:
    claim: str | None = example(name).get("bundle", {}).get("volumeClaim")
    return claim


def _volume(name: str) -> dict[str, Any]:
    spec = _VOLUME | {"capacity": {"storage": _CAPACITY}, "hostPath": {"path": f"/srv/{name}"}}
    kind = {"apiVersion": "v1", "kind": "PersistentVolume"}
    return kind | {"metadata": {"name": name, "labels": _LABEL}, "spec": spec}


def _classes() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for values in map(example, EXAMPLES):
        if priority := values.get("scheduling", {}).get("priorityClassName"):
            metadata = {"name": priority, "labels": _LABEL}
            kind = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"}
            found.append(kind | {"metadata": metadata, "value": 1000})
        if runtime := values.get("gpu", {}).get("runtimeClassName"):
            metadata = {"name": runtime, "labels": _LABEL}
            kind = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass"}
            found.append(kind | {"metadata": metadata, "handler": runtime})
    return found


def _give_gpus(node: str) -> None:
    names = [values["gpu"]["resourceName"] for values in map(example, EXAMPLES) if "gpu" in values]
    amounts = dict.fromkeys(names, "8")
    status = json.dumps({"status": {"capacity": amounts, "allocatable": amounts}})
    kubectl("patch", "node", node, "--subresource=status", "--type=merge", "-p", status)
    labels = ["nvidia.com/gpu.present=true", "nvidia.com/mig.strategy=mixed"]
    kubectl("label", "node", node, "--overwrite", *labels)


def _stand_in(kind: str, plural: str) -> dict[str, Any]:
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": anything},
    }
    names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.kafka.strimzi.io", "labels": _LABEL},
        "spec": {
            "group": "kafka.strimzi.io",
            "scope": "Namespaced",
            "names": names,
            "versions": [version],
        },
    }
