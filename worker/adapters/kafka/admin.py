"""Topics as the brokers know them: describe and create."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource
from kafka.errors import KafkaError, TopicAlreadyExistsError, TopicAuthorizationFailedError

from worker.adapters.kafka.closing import Closing
from worker.adapters.kafka.connect import CONNECT_SECONDS, connect
from worker.adapters.kafka.membership import members_of
from worker.config import KafkaSettings
from worker.errors import OperatorError


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """An existing topic; `config` holds the effective values, as Kafka spells them.

    `replicas` is the least number that a partition has; 0 where brokers do not tell.

    `id` is the brokers' own: another one when the topic is deleted and created anew. `operations`
    are what this user may do with it, as in `DescribeConfigs`; none where brokers do not tell.
    """

    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)
    id: str = ""
    operations: frozenset[str] = frozenset()
    replicas: int = 0


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic to create. A `replication_factor` of -1 is the cluster's default."""

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)
    replication_factor: int = -1


class KafkaAdmin(Closing):
    """A connection for describing and creating topics. Raises OperatorError."""

    def __init__(self, settings: KafkaSettings, connect_timeout: float = CONNECT_SECONDS) -> None:
        self._client = connect(KafkaAdminClient, settings, connect_timeout)

    def close(self) -> None:
        """Disconnect."""
        self._client.close()

    def describe(self, topics: Iterable[str]) -> dict[str, TopicInfo]:
        """Return those of the topics that exist. The configuration is left out where it is hidden.

        Raises OperatorError also where this user may not know whether a topic exists.
        """
        try:
            found = self._client.describe_topics(list(topics))
            _refuse_hidden(found)
            existing = {each["name"]: each for each in found if not each["error_code"]}
            allowed = {name: _operations(each) for name, each in existing.items()}
            configs = self._configs(
                name for name, each in allowed.items() if not each or "DescribeConfigs" in each
            )
        except KafkaError as error:
            raise OperatorError(
                f"Kafka does not describe the topics ({error}): give this user the right to"
                " describe topics and their configuration"
            ) from error
        return {
            name: TopicInfo(
                len(each["partitions"]),
                configs.get(name, {}),
                str(each["topic_id"]),
                allowed[name],
                min((len(part["replica_nodes"]) for part in each["partitions"]), default=0),
            )
            for name, each in existing.items()
        }

    def create(self, specs: Iterable[TopicSpec]) -> None:
        """Create the topics and wait until they have leaders; those that exist are left alone."""
        for spec in specs:
            try:
                self._client.create_topics(_request(spec))
            except TopicAlreadyExistsError:
                continue
            except KafkaError as error:
                raise OperatorError(
                    f"Kafka does not create topic {spec.name} ({error}): check its name and"
                    " partitions, and give this user the right to create topics"
                ) from error
            self._client.wait_for_topics([spec.name])

    def members(self, group: str) -> list[str | None]:
        """Return the static names of the group's members, None for each dynamic one.

        None of them where the brokers cannot tell right now.
        """
        try:
            return [member.instance for member in members_of(self._client, group)]
        except KafkaError as error:
            if error.retriable:
                return []
            raise OperatorError(
                f"Kafka does not describe group {group} ({error}): give this user the right to"
                " Read the group"
            ) from error

    def _configs(self, names: Iterable[str]) -> dict[str, dict[str, str]]:
        resources = [ConfigResource("topic", name) for name in names]
        if not resources:
            return {}
        told = self._client.describe_configs(resources, config_filter="all")
        return {name: _values(config) for name, config in told.get("topic", {}).items()}


def _refuse_hidden(found: Iterable[Mapping[str, Any]]) -> None:
    code = TopicAuthorizationFailedError.errno
    if hidden := sorted(each["name"] for each in found if each["error_code"] == code):
        raise OperatorError(
            f"Kafka does not show this user the topics {', '.join(hidden)}: grant the rights that"
            " deploy/SECURITY.md lists for them"
        )


def _operations(described: Mapping[str, Any]) -> frozenset[str]:
    """Return what this user may do, as `kafka-acls.sh` spells it."""
    names = described.get("authorized_operations") or ()
    spelt = ("".join(map(str.capitalize, name.split("_"))) for name in names)
    return frozenset(spelt)


def _request(spec: TopicSpec) -> dict[str, Any]:
    return {
        spec.name: {
            "num_partitions": spec.partitions,
            "replication_factor": spec.replication_factor,
            "configs": dict(spec.config),
        }
    }


def _values(config: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {key: each["value"] for key, each in config.items() if each["value"] is not None}
