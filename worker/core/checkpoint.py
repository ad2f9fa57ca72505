"""What is committed beside an offset: which state belongs to it, and under which settings.

It is small, since brokers limit it to 4096 characters; the state itself is in topic `snapshots`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

VERSION = 1


class CheckpointError(Exception):
    """Metadata of a committed offset that this version cannot use. One sentence."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """The settings that give buffered events and learned numbers their meaning.

    Durations in seconds; `model` is the digest of all encoders and of what the scorer keeps.
    """

    window_seconds: float
    grace_seconds: float
    idle_timeout_seconds: float
    carry_caption_seconds: float
    awaited: str
    model: str
    partitions: int

    def differences(self, other: Meaning) -> list[str]:
        """Return what differs from `other`, as in `partitions was 6 and is 8`.

        >>> now = Meaning(1, 2, 10, 5, "frame,audio", "abc", 6)
        >>> now.differences(Meaning(1, 3, 10, 5, "frame,audio", "abc", 8))
        ['grace_seconds was 3 and is 2', 'partitions was 8 and is 6']
        """
        pairs = [
            (each.name, getattr(other, each.name), getattr(self, each.name))
            for each in fields(self)
        ]
        return [
            f"{name} was {_told(was)} and is {_told(now)}" for name, was, now in pairs if was != now
        ]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One committed `offset`. The records before `taken` are in outputs or in the state.

    `number` counts the commits of the partition index, `newest` is the partition's largest append
    time so far in microseconds, `topic_id` the brokers' id of the topic.
    """

    number: int
    offset: int
    taken: int
    newest: int
    meaning: Meaning
    topic_id: str = ""


def write_checkpoint(checkpoint: Checkpoint) -> str:
    """Return the metadata, JSON of less than 512 characters."""
    named = {"version": VERSION, **_named(checkpoint)}
    return json.dumps(named, default=_named, separators=(",", ":"))


def read_checkpoint(text: str) -> Checkpoint | None:
    """Return what was written; None for an offset that somebody set with other tools.

    Raises CheckpointError.
    """
    if not text:
        return None
    try:
        found: dict[str, Any] = json.loads(text)
        version = int(found.pop("version"))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise CheckpointError("the committed offsets carry metadata of another program") from None
    if version > VERSION:
        raise CheckpointError(
            f"the committed offsets were written by a newer version (format {version}, this one"
            f" reads {VERSION})"
        )
    try:
        return _checkpoint(found)
    except (TypeError, KeyError):
        raise CheckpointError("the committed offsets carry metadata that is damaged") from None


def _checkpoint(found: Mapping[str, Any]) -> Checkpoint:
    return Checkpoint(**{**found, "meaning": Meaning(**found["meaning"])})


def _named(value: Checkpoint | Meaning) -> dict[str, Any]:
    return {each.name: getattr(value, each.name) for each in fields(value)}


def _told(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
