"""Each example is what Kubernetes, KEDA and the Prometheus Operator take, and the worker too."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject, TriggerAuthentication
from cloudcoil.models.prometheus_operator.v1 import PodMonitor, PrometheusRule
from cloudcoil.resources import Resource

from tests.deploy import helm
from tests.deploy.chart import (
    CHART,
    EXAMPLES,
    Object,
    config_text,
    example,
    example_objects,
    of_kind,
    pod,
    worker,
    workload,
)
from tests.services.require import require_program
from worker.config import Config, load
from worker.config.sources import from_environment

OLDEST = yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"][2:6]
IMAGE_VOLUMES_SINCE = "1.33"
NEWEST = kubernetes_validate.latest_version()
MODELS: dict[str, type[Resource]] = {
    "ScaledObject": ScaledObject,
    "TriggerAuthentication": TriggerAuthentication,
    "PodMonitor": PodMonitor,
    "PrometheusRule": PrometheusRule,
}
STRIMZI = {"KafkaTopic", "KafkaUser"}
# KEDA 2.21, kafka scaler: what it reads from a trigger's metadata. The API server takes any key.
KEDA_KAFKA_METADATA = {
    "activationLagThreshold",
    "allowIdleConsumers",
    "awsRegion",
    "bootstrapServers",
    "consumerGroup",
    "ensureEvenDistributionOfPartitions",
    "excludePersistentLag",
    "fullMetadata",
    "lagThreshold",
    "limitToPartitionsWithLag",
    "offsetResetPolicy",
    "partitionLimitation",
    "sasl",
    "saslTokenProvider",
    "scaleToZeroOnInvalidOffset",
    "tls",
    "topic",
    "unsafeSsl",
    "version",
}
MEMBER = "MMWORKER_KAFKA__GROUP_INSTANCE_ID"
KEDA_KAFKA_CREDENTIALS = {"username", "password", "ca", "cert", "key"}  # of those, what we use


@pytest.mark.parametrize("name", EXAMPLES)
def test_helm_finds_nothing_to_improve_in_an_example(name: str) -> None:
    found = helm.lint(CHART, example(name), f"v{OLDEST}.0")
    assert found.errors == []
    assert found.messages == ["icon is recommended"]


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_oldest_and_the_newest_kubernetes_know_every_field(name: str, version: str) -> None:
    uses_image = example(name).get("bundle", {}).get("source") == "image"
    checked = IMAGE_VOLUMES_SINCE if uses_image and version == OLDEST else version
    for each in example_objects(name):
        if each["kind"] not in MODELS.keys() | STRIMZI:
            kubernetes_validate.validate(each, checked, strict=True)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_operators_models_keep_every_field(name: str) -> None:
    for each in example_objects(name):
        if model := MODELS.get(each["kind"]):
            kept = model.model_validate(each).model_dump(
                mode="json", by_alias=True, exclude_none=True, exclude_unset=True
            )
            assert kept == _known_to_its_model(each)


def test_the_examples_have_every_kind_of_the_operators() -> None:
    """Otherwise the checks of their models would pass because there is nothing to check."""
    kinds = {each["kind"] for name in EXAMPLES for each in example_objects(name)}
    assert MODELS.keys() | STRIMZI <= kinds


@pytest.mark.parametrize("name", EXAMPLES)
def test_keda_reads_every_key_of_a_trigger(name: str) -> None:
    for scaled in of_kind(example_objects(name), "ScaledObject"):
        topics = [trigger["metadata"]["topic"] for trigger in scaled["spec"]["triggers"]]
        assert sorted(topics) == ["audio", "captions", "frames"]
        for trigger in scaled["spec"]["triggers"]:
            assert trigger["type"] == "kafka"
            assert trigger["metadata"].keys() <= KEDA_KAFKA_METADATA
            assert all(isinstance(value, str) for value in trigger["metadata"].values())


@pytest.mark.parametrize("name", EXAMPLES)
def test_keda_gets_credentials_that_it_knows_from_what_is_there(name: str) -> None:
    found = example_objects(name)
    variables = {each["name"] for each in worker(found)["env"]}
    mounted = {each["secret"]["secretName"] for each in _volumes(found) if "secret" in each}
    for authentication in of_kind(found, "TriggerAuthentication"):
        references = authentication["spec"]["secretTargetRef"]
        logins = authentication["spec"].get("env", [])
        assert {each["parameter"] for each in (*references, *logins)} <= KEDA_KAFKA_CREDENTIALS
        assert {each["name"] for each in references} <= mounted
        assert {each["name"] for each in logins} <= variables


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_worker_takes_the_configuration_of_an_example(name: str, tmp_path: Path) -> None:
    config = _loaded(name, tmp_path)
    for section, fields in example(name)["config"].items():
        for field, value in fields.items():
            loaded = getattr(getattr(config, section), field)
            if field == "url":  # to which the chart adds where its CA is
                loaded = loaded.partition("?")[0]
            assert loaded == value


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_file_of_the_configuration_is_mounted(name: str, tmp_path: Path) -> None:
    kafka, redis = (config := _loaded(name, tmp_path)).kafka, config.redis
    files = [
        kafka.sasl_password_file,
        kafka.sasl_token_file,
        kafka.ssl_cafile,
        kafka.ssl_certfile,
        kafka.ssl_keyfile,
        redis.password_file,
    ]
    mounts = {each["mountPath"] for each in worker(example_objects(name))["volumeMounts"]}
    assert {str(file.parent) for file in files if file is not None} <= mounts
    if config.models.bundle:
        assert config.models.bundle in mounts


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_worker_knows_every_variable_of_its_container(name: str) -> None:
    names = {each["name"] for each in worker(example_objects(name))["env"]}
    assert all(setting.value == "x" for setting in from_environment(dict.fromkeys(names, "x")))


def test_a_member_of_a_stateful_set_is_named_after_its_pod() -> None:
    variables = {each["name"]: each for each in worker(example_objects("static"))["env"]}
    assert variables[MEMBER]["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}


@pytest.mark.parametrize("name", EXAMPLES)
def test_probes_ask_the_port_on_which_the_worker_listens(name: str, tmp_path: Path) -> None:
    container = worker(example_objects(name))
    assert container["ports"] == [
        {"name": "http", "containerPort": _loaded(name, tmp_path).http.port}
    ]
    probes = {probe: container[f"{probe}Probe"] for probe in ("startup", "liveness", "readiness")}
    assert {probe: each["httpGet"]["path"] for probe, each in probes.items()} == {
        "startup": "/startupz",
        "liveness": "/livez",
        "readiness": "/readyz",
    }
    assert {each["httpGet"]["port"] for each in probes.values()} == {"http"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_pods_may_do_what_pod_security_restricted_allows(name: str) -> None:
    owners = [each for each in example_objects(name) if "template" in each.get("spec", {})]
    assert owners
    for specification in map(pod, owners):
        security = specification["securityContext"]
        assert (security["runAsNonRoot"], security["runAsUser"]) == (True, 10001)
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert specification["automountServiceAccountToken"] is False
        for container in (*specification["containers"], *specification.get("initContainers", [])):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


@pytest.mark.parametrize("name", EXAMPLES)
def test_selectors_find_the_pods_and_volumes_are_there(name: str) -> None:
    found = example_objects(name)
    labels = workload(found)["spec"]["template"]["metadata"]["labels"].items()
    selectors = [workload(found)["spec"]["selector"]["matchLabels"]]
    selectors += [
        each["spec"]["selector"]["matchLabels"]
        for kind in ("PodDisruptionBudget", "PodMonitor")
        for each in of_kind(found, kind)
    ]
    assert all(selector.items() <= labels for selector in selectors)
    mounts = {each["name"] for each in worker(found)["volumeMounts"]}
    assert mounts <= {each["name"] for each in _volumes(found)}


@pytest.mark.parametrize("name", EXAMPLES)
def test_promtool_takes_the_rules_of_an_example(name: str, tmp_path: Path) -> None:
    require_program("promtool")
    for rule in of_kind(example_objects(name), "PrometheusRule"):
        file = tmp_path / "rules.json"
        file.write_text(json.dumps(rule["spec"]))
        checked = subprocess.run(
            ["promtool", "check", "rules", file], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr


def _known_to_its_model(document: Object) -> Object:
    """Leave out what KEDA 2.21 has and the model, which is older, does not know."""
    if "fallback" not in document["spec"]:
        return document
    fallback = dict(document["spec"]["fallback"])
    assert fallback.pop("behavior") == "currentReplicasIfHigher"
    return document | {"spec": document["spec"] | {"fallback": fallback}}


def _volumes(found: tuple[Object, ...]) -> list[Object]:
    volumes: list[Object] = pod(workload(found))["volumes"]
    return volumes


def _loaded(name: str, tmp_path: Path) -> Config:
    file = tmp_path / "config.yaml"
    file.write_text(config_text(example_objects(name)), encoding="utf-8")
    return load(file, {}).config
