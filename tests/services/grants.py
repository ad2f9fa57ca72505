"""Rights on a broker with an authorizer: given, and taken away for a while."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)

from worker.adapters.kafka.rights import Operation, Right
from worker.demo.services import LocalKafka

_SECONDS = 10.0
_RESOURCES = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional id": ResourceType.TRANSACTIONAL_ID,
}


class Grants:
    """What one user may do, as the broker knows it."""

    def __init__(self, server: LocalKafka, user: str) -> None:
        self._admin = KafkaAdminClient(bootstrap_servers=server.bootstrap)
        self._principal = f"User:{user}"

    def close(self) -> None:
        self._admin.close()

    def give(self, rights: Iterable[Right]) -> None:
        wanted = [self._acl(right, each) for right in rights for each in right.operations]
        self._admin.create_acls(wanted)
        self._until(lambda known: known.issuperset(wanted))

    def take_all(self) -> None:
        anything = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
        self._admin.delete_acls([self._filter(ACLOperation.ANY, anything)])
        self._until(lambda known: not known)

    @contextmanager
    def without(self, right: Right, operation: Operation) -> Iterator[None]:
        taken = self._acl(right, operation)
        self._admin.delete_acls([self._filter(taken.operation, taken.resource_pattern)])
        self._until(lambda known: taken not in known)
        try:
            yield
        finally:
            self._admin.create_acls([taken])
            self._until(lambda known: taken in known)

    def _until(self, holds: Callable[[set[Any]], bool]) -> None:
        """Wait until the broker has heard of a change from its controller."""
        anything = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
        deadline = time.monotonic() + _SECONDS
        while not holds(
            set(self._admin.describe_acls(self._filter(ACLOperation.ANY, anything))[0])
        ):
            assert time.monotonic() < deadline, "the broker does not know the rights"
            time.sleep(0.02)

    def _acl(self, right: Right, operation: Operation) -> Any:
        kind = ACLResourcePatternType.PREFIXED if right.prefixed else ACLResourcePatternType.LITERAL
        return ACL(
            self._principal,
            "*",
            ACLOperation[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).upper()],
            ACLPermissionType.ALLOW,
            ResourcePattern(_RESOURCES[right.resource], right.name, kind),
        )

    def _filter(self, operation: Any, pattern: Any) -> Any:
        return ACLFilter(self._principal, "*", operation, ACLPermissionType.ANY, pattern)
