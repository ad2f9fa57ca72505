"""Mistakes in the values are refused by Helm, each in one sentence that names the value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.deploy.chart import CHART, MINIMAL, objects, workload
from tests.deploy.helm import RenderRefusedError, ValuesRefusedError

CHECKS = CHART / "templates" / "_checks.tpl"
TLS = {"security_protocol": "SSL"}
SCRAM = {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512"}
LOGIN = SCRAM | {"sasl_username": "mmworker"}
OAUTH = {"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"}
PASSWORD = {"kafkaPassword": {"name": "login"}}
CA = {"kafkaCa": {"name": "ca"}}
BY_SCHEMA = [
    ({"replicas": "2"}, "at '/replicas': got string, want integer"),
    ({"replica": 2}, "additional properties 'replica' not allowed"),
    ({"replicas": -1}, "at '/replicas': minimum: got -1, want 0"),
    ({"kind": "DaemonSet"}, "at '/kind': value must be one of 'Deployment', 'StatefulSet'"),
    ({"image": {"digest": "latest"}}, "at '/image/digest': 'latest' does not match pattern"),
    ({"keda": {"minReplicas": 0}}, "at '/keda/minReplicas': minimum: got 0, want 1"),
    ({"keda": {"enabled": "true"}}, "at '/keda/enabled': got string, want boolean"),
    (
        {"terminationGracePeriodSeconds": 30},
        "at '/terminationGracePeriodSeconds': minimum: got 30, want 65",
    ),
    ({"secrets": {"kafkaPasword": {}}}, "additional properties 'kafkaPasword' not allowed"),
    (
        {"scheduling": {"tolerations": [{"efect": "NoSchedule"}]}},
        "additional properties 'efect' not allowed",
    ),
    ({"config": {"pairng": {}}}, "at '/config': additional properties 'pairng' not allowed"),
    (
        {"config": {"pairing": {"windows_seconds": 1}}},
        "at '/config/pairing': additional properties 'windows_seconds' not allowed",
    ),
    (
        {"config": {"scoring": {"calibration_moments": "200"}}},
        "at '/config/scoring/calibration_moments': got string, want integer",
    ),
    (
        {"config": {"scoring": {"calibration_moments": 5}}},
        "at '/config/scoring/calibration_moments': minimum: got 5, want 20",
    ),
    (
        {"config": {"kafka": {"bootstrap_servers": "kafka"}}},
        "at '/config/kafka/bootstrap_servers': 'kafka' does not match pattern",
    ),
    (
        {"config": {"kafka": {"ssl_cafile": "/ca.crt"}}},
        "at '/config/kafka': additional properties 'ssl_cafile' not allowed",
    ),
    (
        {"monitoring": {"podMonitor": {"interval": "0s"}}},
        "at '/monitoring/podMonitor/interval': '0s' does not match pattern",
    ),
    ({"config": {"http": {"port": 80}}}, "at '/config/http/port': minimum: got 80, want 1,024"),
]
BY_TEMPLATE: list[tuple[dict[str, Any], str]] = [
    ({"replicas": 7}, "replicas (7) exceeds topics.partitions (6)"),
    ({"keda": {"enabled": True, "maxReplicas": 9}}, "keda.maxReplicas (9) exceeds topics.partiti"),
    (
        {"keda": {"enabled": True, "minReplicas": 5, "maxReplicas": 3}},
        "keda.minReplicas (5) exceeds keda.maxReplicas (3)",
    ),
    (
        {"keda": {"enabled": True, "fallbackReplicas": 5, "maxReplicas": 3}},
        "keda.fallbackReplicas (5) exceeds keda.maxReplicas (3)",
    ),
    (
        {"config": {"kafka": {"security_protocol": "SASL_SSL"}}, "secrets": CA},
        "SASL_SSL needs config.kafka.sasl_mechanism",
    ),
    ({"config": {"kafka": SCRAM}, "secrets": CA}, "SCRAM-SHA-512 needs config.kafka.sasl_username"),
    ({"config": {"kafka": LOGIN}, "secrets": CA}, "SASL_SSL needs secrets.kafkaPassword.name"),
    ({"config": {"kafka": LOGIN}, "secrets": PASSWORD}, "SASL_SSL needs secrets.kafkaCa.name"),
    ({"config": {"kafka": TLS}}, "SSL needs secrets.kafkaCa.name"),
    (
        {"config": {"kafka": TLS}, "secrets": {"kafkaCa": {"name": "ca", "public": True}}},
        "secrets.kafkaCa has both a name and public",
    ),
    ({"secrets": CA}, "config.kafka.security_protocol PLAINTEXT has no TLS"),
    ({"secrets": PASSWORD}, "config.kafka.security_protocol PLAINTEXT has no login"),
    ({"config": {"kafka": OAUTH}, "secrets": CA}, "OAUTHBEARER needs secrets.kafkaToken.name"),
    (
        {"config": {"kafka": OAUTH}, "secrets": CA | {"kafkaToken": {"audience": "kafka"}}},
        "secrets.kafkaToken.audience needs a service account that is there before",
    ),
    (
        {"secrets": {"kafkaToken": {"audience": "kafka", "name": "token"}}},
        "secrets.kafkaToken has both a name and an audience",
    ),
    (
        {
            "config": {"kafka": OAUTH},
            "secrets": CA | {"kafkaToken": {"name": "token"}},
            "keda": {"enabled": True},
        },
        "OAUTHBEARER needs keda.authenticationRef",
    ),
    ({"secrets": {"redisPassword": {"name": "login"}}}, "secrets.redisCa need config.redis.url"),
    (
        {"secrets": {"redisCa": {"name": "ca"}}, "config": {"redis": {"url": "redis://cache"}}},
        "secrets.redisCa needs a config.redis.url that begins with rediss://",
    ),
    (
        {"config": {"redis": {"url": "redis://:hunter2@cache:6379/0"}}},
        "config.redis.url holds a password, which a ConfigMap would show",
    ),
    (
        {"config": {"redis": {"url": "redis://:p/hunter2@cache:6379/0"}}},
        "config.redis.url holds a password, which a ConfigMap would show",
    ),
    (
        {"config": {"redis": {"url": "redis://cache:6379/0?password=hunter2"}}},
        "config.redis.url has an option other than ",
    ),
    (
        {"config": {"redis": {"url": "redis://cache:6379/0?db=1&credential=hunter2"}}},
        "config.redis.url has an option other than ",
    ),
    ({"gpu": {"enabled": True}}, "gpu.enabled needs gpu.resourceName"),
    (
        {
            "gpu": {"enabled": True, "resourceName": "nvidia.com/gpu"},
            "config": {"models": {"device": "cpu"}},
        },
        "gpu.enabled and config.models.device cpu contradict each other",
    ),
    ({"config": {"models": {"device": "cuda"}}}, "config.models.device cuda needs gpu.enabled"),
    (
        {"config": {"limits": {"max_resident_bytes": 5 << 30}}},
        "config.limits.max_resident_bytes (5368709120) exceeds resources.limits.memory (4Gi)",
    ),
    (
        {"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "1900Mi"}}},
        "resources.limits.memory (1900Mi) is below 2Gi: a new pod measures its encoders",
    ),
    (
        {"config": {"limits": {"max_resident_bytes": 800 << 20}}},
        "max_buffered_bytes (268435456) and 600 MiB for the worker itself",
    ),
    (
        {"config": {"pairing": {"max_buffered_bytes": 3 << 30}}},
        "max_buffered_bytes (3221225472) and 600 MiB for the worker itself",
    ),
    (
        {"podLabels": {"app.kubernetes.io/instance": "other"}},
        "podLabels may not set app.kubernetes.io/instance",
    ),
    ({"podAnnotations": {"checksum/config": "0"}}, "podAnnotations may not set checksum/config"),
    (
        {"fullnameOverride": "a.b", "kind": "StatefulSet"},
        "fullnameOverride may have no dot where there is a Service",
    ),
    (
        {"resources": {"requests": {"memory": "8Gi"}}},
        "resources.requests.memory (8Gi) exceeds resources.limits.memory (4Gi)",
    ),
    (
        {"config": {"topics": {"frames": "media", "captions": "media"}}},
        "config.topics names one topic twice (audio, media, media)",
    ),
    ({"bundle": {"source": "volumeClaim"}}, "bundle.source volumeClaim needs bundle.volumeClaim"),
    (
        {"bundle": {"source": "download", "url": "https://store/b.tar.gz"}},
        "bundle.source download needs bundle.sha256",
    ),
    (
        {
            "bundle": {
                "source": "download",
                "url": "https://store/b.tar.gz",
                "sha256": "0" * 64,
            }
        },
        "bundle.source download needs networkPolicy.extraEgress",
    ),
    ({"config": {"models": {"allow_hub": True}}}, "config.models.allow_hub has no effect in"),
    (
        {"config": {"models": {"frame": "transformers:/models/x"}}},
        "config.models.frame names /models/x, which is not in the pod",
    ),
    (
        {
            "config": {"models": {"audio": "torchaudio:/weights/x"}},
            "models": {"volumeClaim": "weights"},
        },
        "config.models.audio names /weights/x, which is not in the pod",
    ),
    (
        {"models": {"volumeClaim": "weights", "image": f"weights@sha256:{'0' * 64}"}},
        "models has both a volumeClaim and an image",
    ),
    ({"topics": {"create": "strimzi"}}, "topics.create strimzi needs topics.strimzi.cluster"),
    ({"topics": {"strimzi": {"user": "mm"}}}, "topics.strimzi.user needs topics.create strimzi"),
]


@pytest.mark.parametrize(("mistake", "sentence"), BY_SCHEMA)
def test_the_schema_refuses_a_mistake(mistake: Mapping[str, Any], sentence: str) -> None:
    with pytest.raises(ValuesRefusedError) as told:
        objects(merged(MINIMAL, mistake))
    [line] = [line for line in str(told.value).splitlines() if line.startswith("- ")]
    assert sentence in line


@pytest.mark.parametrize(("mistake", "sentence"), BY_TEMPLATE)
def test_the_template_refuses_a_mistake(mistake: Mapping[str, Any], sentence: str) -> None:
    message = refusal(merged(MINIMAL, mistake))
    assert sentence in message
    assert message.endswith(".")
    assert "\n" not in message
    assert "hunter2" not in message


def test_values_without_brokers_are_refused() -> None:
    assert "config.kafka.bootstrap_servers is missing" in refusal({})


def test_the_values_that_the_mistakes_are_put_into_are_right() -> None:
    """Otherwise a mistake might be refused for another reason."""
    assert workload(objects(MINIMAL))["spec"]["replicas"] == 2


def test_every_sentence_of_the_templates_is_told_by_a_mistake_here() -> None:
    sentences = re.findall(r'fail \(?(?:printf )?"([^"]*)"', CHECKS.read_text(encoding="utf-8"))
    told = [refusal({}), *(refusal(merged(MINIMAL, mistake)) for mistake, _ in BY_TEMPLATE)]
    assert len(sentences) > 20
    for sentence in sentences:
        pattern = re.escape(sentence).replace("%s", ".+").replace("%d", "[0-9]+")
        assert any(re.search(pattern, message) for message in told), sentence


def refusal(values: Mapping[str, Any]) -> str:
    """Return how the templates refuse the values."""
    with pytest.raises(RenderRefusedError) as told:
        objects(values)
    return str(told.value)


def merged(base: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of both, group by group; the other's win."""
    result = dict(base)
    for key, value in other.items():
        below = result.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            result[key] = merged(below, value)
        else:
            result[key] = value
    return result
