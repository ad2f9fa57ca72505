"""Moves the committed offsets of a group that has no members; its state then counts no more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

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


def move_offsets(
    settings: KafkaSettings, partitions: Iterable[TopicPartition], to: Target
) -> dict[TopicPartition, int]:
    """Commit offsets without metadata and return them. Raises OperatorError.

    `committed` leaves them where they are, or at the beginning where there are none.
    """
    client = connect(KafkaAdminClient, settings, CONNECT_SECONDS)
    wanted = [ClientPartition(*each) for each in partitions]
    try:
        known = client.list_group_offsets({settings.group_id: wanted})[settings.group_id]
        specs = {each: _spec(known.get(each), to) for each in wanted}
        found = client.reset_group_offsets(settings.group_id, specs)  # keeps the metadata
        moved = {each: told["offset"] for each, told in found.items()}
        plain = {each: OffsetAndMetadata(offset, "", -1) for each, offset in moved.items()}
        errors = client.alter_group_offsets(settings.group_id, plain).values()
    except KafkaError as error:
        raise _refused(settings.group_id, error) from error
    finally:
        client.close()
    for kind in errors:
        if kind is not NoError:
            raise _refused(settings.group_id, kind())
    return {TopicPartition(*each): offset for each, offset in sorted(moved.items())}


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
