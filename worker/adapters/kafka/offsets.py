"""Moves the committed offsets of a group that has no members; its state then counts no more."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from kafka import KafkaAdminClient
from kafka import TopicPartition as ClientPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError, NoError
from kafka.structs import OffsetAndMetadata

from worker.adapters.kafka.connect import CONNECT_SECONDS, connect
from worker.config import KafkaSettings
from worker.core.ports import TopicPartition
from worker.errors import OperatorError

Target = Literal["committed", "earliest", "latest"]
_COORDINATOR_SECONDS = 15.0  # a new cluster makes the topic of the offsets when first asked
_PAUSE_SECONDS = 0.2


def move_offsets(
    settings: KafkaSettings, partitions: Iterable[TopicPartition], to: Target
) -> dict[TopicPartition, int]:
    """Commit offsets without metadata and return them. Raises OperatorError.

    `committed` leaves them where they are, or at the beginning where there are none.
    """
    client = connect(KafkaAdminClient, settings, CONNECT_SECONDS)
    wanted = [ClientPartition(*each) for each in partitions]
    try:
        moved = _moved(client, settings.group_id, wanted, to)
    except KafkaError as error:
        raise _refused(settings.group_id, error) from error
    finally:
        client.close()
    return {TopicPartition(*each): offset for each, offset in sorted(moved.items())}


def _moved(client: Any, group: str, partitions: list[Any], to: Target) -> Mapping[Any, int]:
    """Move them and return where they are now. Raises KafkaError."""
    known = _known(client, group, partitions)
    specs = {each: _spec(known.get(each), to) for each in partitions}
    found = client.reset_group_offsets(group, specs)  # keeps the metadata
    moved = {each: told["offset"] for each, told in found.items()}
    plain = {each: OffsetAndMetadata(offset, "", -1) for each, offset in moved.items()}
    for kind in client.alter_group_offsets(group, plain).values():
        if kind is not NoError:
            raise kind
    return moved


def _known(client: Any, group: str, partitions: list[Any]) -> Mapping[Any, object]:
    """Return what the group has committed, once there is somebody to ask. Raises KafkaError."""
    deadline = time.monotonic() + _COORDINATOR_SECONDS
    while True:
        try:
            known: Mapping[Any, object] = client.list_group_offsets({group: partitions})[group]
        except KafkaError as error:
            if not error.retriable or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return known


def _spec(known: object, to: Target) -> object:
    offset = getattr(known, "offset", -1)
    if to == "committed" and offset >= 0:
        return offset
    return OffsetSpec.LATEST if to == "latest" else OffsetSpec.EARLIEST


def _refused(group: str, error: Exception) -> OperatorError:
    return OperatorError(
        f"the offsets of group {group} cannot be moved ({error}): stop all of its workers, and give"
        " this user the right to alter the group"
    )
