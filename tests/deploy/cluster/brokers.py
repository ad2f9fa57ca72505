"""The broker that KEDA asks instead of those that examples name, and the Secrets to log in with.

It has the standard authorizer; its user may do what a worker may. KEDA uses the Secrets that the
chart names for the worker, so these checks also show that its TriggerAuthentication is right.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.deploy.chart import example, example_objects, of_kind
from tests.deploy.cluster.token_endpoint import token_endpoint
from tests.services.grants import Grants
from tests.services.guarded_kafka import PASSWORD, USER, GuardedKafka, guarded_kafka
from worker.adapters.kafka.admin import KafkaAdmin
from worker.adapters.kafka.rights import worker_rights
from worker.adapters.kafka.topic_checks import specs
from worker.config import Config, KafkaSettings

_CA = {"name": "check-ca", "key": "ca.crt"}
_ENTRANCES = {"": "", "SCRAM-SHA-512": "LOGIN", "OAUTHBEARER": "TOKEN"}


class Brokers:
    """What an example needs, to be scaled by KEDA here."""

    def __init__(self, kafka: GuardedKafka, token_url: str) -> None:
        self._kafka = kafka
        self._token_url = token_url

    @property
    def bootstrap(self) -> str:
        """The address without any login."""
        return self._kafka.server.bootstrap

    def flags(self, name: str) -> tuple[str, ...]:
        """Return what Helm is told beside the example's values; nothing where KEDA has no part."""
        if not of_kind(example_objects(name), "ScaledObject"):
            return ()
        kafka = _kafka_of(name)
        changes = {"config.kafka.bootstrap_servers": self._address(kafka)}
        if kafka.get("sasl_username"):
            changes["config.kafka.sasl_username"] = USER
        if example(name).get("secrets", {}).get("kafkaCa", {}).get("public"):
            changes |= {f"secrets.kafkaCa.{key}": value for key, value in _CA.items()}
            changes["secrets.kafkaCa.public"] = "false"
        return tuple(f"--set={key}={value}" for key, value in changes.items())

    def objects(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield the Secrets that the example names, and what it says is made beside the chart."""
        if not self.flags(name):
            return
        secrets = example(name).get("secrets", {})
        if password := secrets.get("kafkaPassword"):
            yield _secret(password["name"], {password["key"]: PASSWORD})
        authority = _CA | {k: v for k, v in secrets.get("kafkaCa", {}).items() if k in _CA}
        yield _secret(authority["name"], {authority["key"]: _text(self._kafka.authority.file)})
        if client := secrets.get("kafkaClient"):
            own = self._kafka.authority.certify(USER)
            files = {client["certificateKey"]: own.certificate, client["privateKeyKey"]: own.key}
            yield _secret(client["name"], {key: _text(file) for key, file in files.items()})
        if reference := example(name)["keda"].get("authenticationRef"):
            login = {"username": USER, "password": PASSWORD, "url": self._token_url}
            yield _secret(reference, login)
            yield self._authentication(reference, authority)

    def _address(self, kafka: dict[str, str]) -> str:
        if kafka.get("security_protocol", "PLAINTEXT") == "PLAINTEXT":
            return self.bootstrap
        entrance = _ENTRANCES[kafka.get("sasl_mechanism", "")] or "MUTUAL"
        return f"127.0.0.1:{self._kafka.ports[entrance]}"

    def _authentication(self, name: str, authority: dict[str, str]) -> dict[str, Any]:
        """Return KEDA's own login, at the token endpoint."""
        named = {
            "username": (name, "username"),
            "password": (name, "password"),
            "oauthTokenEndpointUri": (name, "url"),
            "ca": (authority["name"], authority["key"]),
        }
        references = [
            {"parameter": parameter, "name": secret, "key": key}
            for parameter, (secret, key) in named.items()
        ]
        return {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "TriggerAuthentication",
            "metadata": {"name": name},
            "spec": {"secretTargetRef": references},
        }


@contextmanager
def brokers(directory: Path) -> Iterator[Brokers]:
    """Run the broker, with the worker's topics and rights, and a token endpoint."""
    config = Config()
    with guarded_kafka(directory) as kafka, token_endpoint(kafka.issuer) as url:
        with KafkaAdmin(KafkaSettings(bootstrap_servers=kafka.server.bootstrap)) as admin:
            admin.create(specs(config.topics, 6, config.limits.max_record_bytes))
        grants = Grants(kafka.server, USER)
        grants.give(worker_rights(config.topics, config.kafka.group_id))
        grants.close()
        yield Brokers(kafka, url)


def _kafka_of(name: str) -> dict[str, str]:
    found: dict[str, str] = example(name)["config"]["kafka"]
    return found


def _secret(name: str, values: dict[str, str]) -> dict[str, Any]:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
    return secret | {"stringData": values}


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")
