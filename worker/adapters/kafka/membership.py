"""What a consumer group tells a member: assignments, and which partitions it kept throughout.

The client calls the listener on its I/O thread while `poll` blocks: the listener only notes down.
"""

from __future__ import annotations

import os
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from kafka import ConsumerRebalanceListener, KafkaAdminClient

from worker.core.ports import Ownership, TopicPartition
from worker.errors import OperatorError


@dataclass(frozen=True, slots=True)
class Membership:
    """One generation as this member saw it. `token` is the client's group metadata.

    Nothing is owned and the generation is -1 before the first join and after an eviction.
    """

    partitions: frozenset[TopicPartition] = frozenset()
    generation: int = -1
    member: str = ""
    token: object = None

    def ownership(self, process: str) -> Ownership | None:
        """Return the proof of this membership; None where there is none."""
        if self.generation < 0:
            return None
        return Ownership(self.generation, process, self.token)

    def follows(self, earlier: Membership) -> bool:
        """Return whether no generation that others took part in lies between the two."""
        return self.member == earlier.member and self.generation == earlier.generation + 1


class GroupMember(NamedTuple):
    """A member as the group knows it: the id of its process, its static name if it has one."""

    process: str
    instance: str | None


def process_id() -> str:
    """Return an id that this process has, in all of its sessions, and no other one ever."""
    return _process_id(os.getpid())


@cache
def _process_id(pid: int) -> str:  # a forked process is another one
    return f"mmworker-{pid}-{secrets.token_hex(6)}"


def members_of(admin: KafkaAdminClient, group: str) -> list[GroupMember]:
    """Return the members of a group; workers join with their process as `client.id`.

    Raises KafkaError.
    """
    told = admin.describe_groups([group])[group]
    return [GroupMember(each["client_id"], each["group_instance_id"]) for each in told["members"]]


def kept(before: Membership, seen: Sequence[Membership]) -> frozenset[TopicPartition]:
    """Return the partitions that were owned without a gap from `before` to the last of `seen`."""
    owned = before.partitions
    for earlier, later in zip([before, *seen], seen, strict=False):
        owned = owned & later.partitions if later.follows(earlier) else frozenset()
    return owned


def check_alike(group: str, members: Iterable[str | None], own: str) -> None:
    """Refuse to join members of the other kind. Raises OperatorError.

    `members` are static names, None for dynamic members; `own` is empty for a dynamic one. In a
    mixed group the client's range assignor may leave members without partitions.
    """
    if all(bool(name) == bool(own) for name in members):
        return
    theirs, ours = ("without", "has one") if own else ("with", "has none")
    raise OperatorError(
        f"group {group} has members {theirs} kafka.group_instance_id and this worker {ours}: set it"
        " for all workers or for none, and stop the others first (one that has ended counts until"
        " its kafka.session_timeout_seconds are over)"
    )


class Rebalances(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Notes down each membership together with the group metadata of that moment.

    Later the metadata may belong to a newer generation, or to none, which brokers do not fence.
    """

    def __init__(self, metadata: Callable[[], Any]) -> None:
        self._metadata = metadata
        self._seen: deque[Membership] = deque()

    def on_partitions_revoked(self, revoked: object) -> None:
        """Nothing is lost yet: the next assignment says what is."""

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Note a new generation."""
        token = self._metadata()
        partitions = frozenset(TopicPartition(each.topic, each.partition) for each in assigned)
        self._seen.append(Membership(partitions, token.generation_id, token.member_id, token))

    def on_partitions_lost(self, lost: object) -> None:  # noqa: ARG002 - the client's interface
        """Note an eviction: others may have owned the partitions since."""
        self._seen.append(Membership())

    def take(self) -> list[Membership]:
        """Return what has been noted since the last call, oldest first."""
        return [self._seen.popleft() for _ in range(len(self._seen))]
