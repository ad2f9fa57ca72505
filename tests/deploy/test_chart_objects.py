"""What the values come to mean in the objects of a release."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.deploy.chart import (
    CHART,
    MINIMAL,
    Object,
    config_text,
    example,
    example_objects,
    objects,
    of_kind,
    one,
    pod,
    worker,
    workload,
)
from tests.deploy.helm import rendered
from worker.adapters.kafka.rights import worker_rights
from worker.adapters.kafka.topic_checks import specs
from worker.adapters.spans import SWITCHES
from worker.config import LimitSettings, TopicSettings
from worker.models.weights import EFFICIENTNET_LITE0, MINILM, read_pinned
from worker.runtime.service import CLOSE_SECONDS, FINISH_SECONDS

CHECKSUM = "checksum/config"


def test_the_grace_period_is_longer_than_the_worker_takes_to_leave() -> None:
    grace = pod(workload(objects(MINIMAL)))["terminationGracePeriodSeconds"]
    assert grace >= FINISH_SECONDS + CLOSE_SECONDS + 10


def test_a_changed_configuration_starts_new_pods_and_an_equal_one_does_not() -> None:
    before, again = objects(MINIMAL), objects(MINIMAL)
    after = objects(with_config({"log": {"level": "debug"}}))
    assert pod_annotations(before)[CHECKSUM] == pod_annotations(again)[CHECKSUM]
    assert pod_annotations(before)[CHECKSUM] != pod_annotations(after)[CHECKSUM]


def test_large_numbers_arrive_as_they_are() -> None:
    text = config_text(objects(with_config({"pairing": {"max_buffered_bytes": 268_435_456}})))
    assert "max_buffered_bytes: 268435456\n" in text


@pytest.mark.parametrize(
    ("limit", "settings", "cap"),
    [
        ("4Gi", {}, 3_435_973_836),
        ("12G", {}, 9_600_000_000),
        (5_000_000_000, {}, 4_000_000_000),
        ("4Gi", {"max_resident_bytes": 3 << 30}, 3 << 30),
        ("4Gi", {"max_resident_bytes": 0}, 0),
        (None, {}, None),
    ],
)
def test_the_worker_stops_to_read_before_its_memory_limit(
    limit: object, settings: dict[str, Any], cap: int | None
) -> None:
    values = with_config({"limits": settings}) | {"resources": {"limits": {"memory": limit}}}
    limits = yaml.safe_load(config_text(objects(values)))["limits"]
    assert limits.get("max_resident_bytes") == cap


def test_the_cache_has_room_for_the_networks_of_the_image_while_they_are_written() -> None:
    (cache,) = [
        each for each in pod(workload(objects(MINIMAL)))["volumes"] if each["name"] == "cache"
    ]
    room = int(cache["emptyDir"]["sizeLimit"].removesuffix("Mi")) << 20
    weights = sum(len(read_pinned(each)) for each in (EFFICIENTNET_LITE0, MINILM))
    assert 2 * weights < room


def test_the_threads_are_those_of_the_request_unless_they_are_set() -> None:
    def source(values: dict[str, Any]) -> object:
        variables = {each["name"]: each for each in worker(objects(values))["env"]}
        return variables.get("MMWORKER_MODELS__THREADS", {}).get("valueFrom")

    assert source(MINIMAL) == {
        "resourceFieldRef": {"containerName": "worker", "resource": "requests.cpu"}
    }
    assert source(with_config({"models": {"threads": 3}})) is None
    assert source(MINIMAL | {"resources": {"requests": {"cpu": None}}}) is None


@pytest.mark.parametrize("name", ["strimzi", "small", "static"])
def test_a_task_runs_alone_with_all_that_a_worker_has(name: str) -> None:
    found = objects(example(name) | {"task": ["run", "--drain"]})
    assert workload(found)["spec"]["replicas"] == 0
    for scaled in of_kind(found, "ScaledObject"):
        assert scaled["metadata"]["annotations"] == {"autoscaling.keda.sh/paused-replicas": "0"}
    [job] = [each for each in of_kind(found, "Job") if "-task-" in each["metadata"]["name"]]
    [container] = pod(job)["containers"]
    assert container["args"] == ["run", "--drain", "--config=/etc/mmworker/config/config.yaml"]
    assert not any(key.endswith("Probe") for key in container)
    for key in ("env", "volumeMounts", "resources", "securityContext"):
        assert container[key] == worker(found)[key]
    labels = job["spec"]["template"]["metadata"]["labels"]
    selector = workload(found)["spec"]["selector"]["matchLabels"]
    assert (
        not selector.items() <= labels.items()
    )  # else the workload would take the pod for its own
    assert (
        one(found, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    )
    kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [("http://collector.tracing:4318", 4318), ("https://traces.example.org/otlp", 443)],
)
def test_traces_are_sent_and_let_out(endpoint: str, port: int) -> None:
    found = objects(MINIMAL | {"tracing": {"endpoint": endpoint}})
    variables = {each["name"]: each.get("value") for each in worker(found)["env"]}
    assert variables[SWITCHES[0]] == endpoint
    last = one(found, "NetworkPolicy")["spec"]["egress"][-1]
    assert [each["port"] for each in last["ports"]] == [port]


def test_weights_of_one_s_own_are_mounted_where_the_configuration_names_them() -> None:
    values = with_config({"models": {"frame": "torchvision:/models/x"}})
    found = objects(values | {"models": {"volumeClaim": "weights", "subPath": "v2"}})
    [mount] = [each for each in worker(found)["volumeMounts"] if each["name"] == "models"]
    assert mount == {
        "name": "models",
        "mountPath": "/models",
        "readOnly": True,
        "subPath": "v2",
    }
    [volume] = [each for each in pod(workload(found))["volumes"] if each["name"] == "models"]
    assert volume["persistentVolumeClaim"] == {"claimName": "weights", "readOnly": True}


def test_keda_decides_on_the_replicas_where_it_is_switched_on() -> None:
    values = MINIMAL | {"keda": {"enabled": True}}
    assert "replicas" not in workload(objects(values))["spec"]
    assert workload(objects(MINIMAL))["spec"]["replicas"] == 2


def test_a_gpu_is_asked_for_by_its_name_and_used() -> None:
    found = example_objects("mig")
    assert worker(found)["resources"]["limits"]["nvidia.com/mig-1g.10gb"] == "1"
    assert yaml.safe_load(config_text(found))["models"]["device"] == "cuda"
    assert worker(found)["image"].endswith("-cuda")
    assert workload(found)["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == 0


def test_a_gpu_is_asked_for_without_other_limits_too() -> None:
    gpu = {"enabled": True, "resourceName": "nvidia.com/gpu"}
    found = objects(MINIMAL | {"gpu": gpu, "resources": {"limits": None}})
    assert worker(found)["resources"]["limits"] == {"nvidia.com/gpu": "1"}


def test_a_digest_wins_over_a_tag() -> None:
    digest = "sha256:" + "a" * 64
    found = objects(MINIMAL | {"image": {"tag": "1", "digest": digest}})
    assert worker(found)["image"] == f"multimodal-worker@{digest}"


def test_a_stateful_set_has_the_service_that_it_names() -> None:
    found = example_objects("static")
    assert one(found, "Service")["metadata"]["name"] == workload(found)["spec"]["serviceName"]
    assert one(found, "Service")["spec"]["clusterIP"] == "None"


def test_the_topics_are_made_before_the_worker_with_its_configuration() -> None:
    account = {"create": False, "name": "camera-workers"}
    values = example("oauth") | {"topics": {"create": "job"}, "serviceAccount": account}
    found = objects(values | {"keda": {}})
    job = one(found, "Job")
    assert pod(job)["serviceAccountName"] == "camera-workers"
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    [container] = pod(job)["containers"]
    assert container["args"][:2] == ["topics", "create"]
    [name] = [each["configMap"]["name"] for each in pod(job)["volumes"] if "configMap" in each]
    [hook] = [each for each in of_kind(found, "ConfigMap") if each["metadata"]["name"] == name]
    assert hook["data"]["config.yaml"] == config_text(found)
    mounts = {each["mountPath"] for each in container["volumeMounts"]}
    assert mounts < {each["mountPath"] for each in worker(found)["volumeMounts"]}


def test_strimzi_makes_the_topics_that_the_worker_would_make() -> None:
    topics, found = TopicSettings(late_events="stragglers"), objects(strimzi())
    wanted = specs(topics, 12, LimitSettings().max_record_bytes, 3)
    assert {
        each["spec"]["topicName"]: (
            each["spec"]["partitions"],
            each["spec"]["replicas"],
            {key: str(value) for key, value in each["spec"]["config"].items()},
        )
        for each in of_kind(found, "KafkaTopic")
    } == {spec.name: (spec.partitions, spec.replication_factor, spec.config) for spec in wanted}


def test_the_strimzi_user_may_do_exactly_what_the_worker_does() -> None:
    kinds = {"topic": "topic", "group": "group", "transactionalId": "transactional id"}
    granted = {
        (kinds[each["resource"]["type"]], each["resource"]["name"], *sorted(each["operations"]))
        for each in one(objects(strimzi()), "KafkaUser")["spec"]["authorization"]["acls"]
        if (each["resource"]["patternType"] == "prefix")
        == (each["resource"]["type"] == "transactionalId")
    }
    assert granted == {
        (right.resource, right.name, *sorted(right.operations))
        for right in worker_rights(TopicSettings(late_events="stragglers"), "mmworker")
    }


@pytest.mark.parametrize(
    ("url", "ports"),
    [
        ("", [9092]),
        ("redis://cache", [9092, 6379]),
        ("redis://cache?db=2", [9092, 6379]),
        ("rediss://cache:6390/2", [9092, 6390]),
    ],
)
def test_the_network_policy_lets_out_what_the_configuration_names(
    url: str, ports: list[int]
) -> None:
    policy = one(objects(with_config({"redis": {"url": url}})), "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    dns, *others = policy["egress"]
    assert {each["port"] for each in dns["ports"]} == {53}
    assert [each["port"] for rule in others for each in rule["ports"]] == ports


def test_the_notes_say_how_to_go_on_and_name_the_secrets_to_make() -> None:
    [notes] = [
        text
        for path, text in rendered(CHART, example("scram")).items()
        if path.endswith("NOTES.txt")
    ]
    assert "rollout status deployment/mm-multimodal-worker" in notes
    assert "these Secrets are there: kafka-login, redis-ca, redis-login." in notes
    assert "{{" not in notes


def test_the_notes_of_a_task_say_how_to_wait_for_it() -> None:
    texts = rendered(CHART, MINIMAL | {"task": ["topics", "check"]})
    [notes] = [text for path, text in texts.items() if path.endswith("NOTES.txt")]
    assert "runs instead: mmworker topics check\n" in notes
    assert "wait job/mm-multimodal-worker-task-1 --for=condition=complete" in notes


def test_two_releases_in_one_namespace_do_not_share_a_pod() -> None:
    selector = workload(objects(MINIMAL))["spec"]["selector"]["matchLabels"]
    assert selector["app.kubernetes.io/instance"] == "mm"


def with_config(sections: dict[str, Any]) -> dict[str, Any]:
    return {"config": MINIMAL["config"] | sections}


def strimzi() -> dict[str, Any]:
    values = example("strimzi")
    return values | {"config": values["config"] | {"topics": {"late_events": "stragglers"}}}


def pod_annotations(found: list[Object]) -> dict[str, str]:
    annotated: dict[str, str] = workload(found)["spec"]["template"]["metadata"]["annotations"]
    return annotated
