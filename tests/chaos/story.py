"""What the topics of one run hold, as the auditor looks at it. No Kafka here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from worker.config import TopicSettings
from worker.core.events import Record
from worker.core.messages import Alert, Observation, read_alert, read_observation
from worker.core.ports import TopicPartition

Place = tuple[str, int, int]  # topic, partition, offset
Identity = tuple[bytes, bytes, bytes]  # source, type, id


@dataclass(frozen=True)
class Story:
    """Inputs and outputs, each in the order of its partition. `inputs`: identity by place.

    `reasons` are those of the dead letters.
    """

    inputs: Mapping[Place, Identity | None]
    observations: Sequence[Observation]
    alerts: Sequence[Alert]
    late: Sequence[Place]
    dead: Sequence[Place]
    reasons: Mapping[Place, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Offsets:
    """What the brokers say of offsets when all is at rest, and what was seen go back before.

    `open` are the partitions in which a transaction hides records: stable end, and end.
    """

    committed: Mapping[TopicPartition, int]
    ends: Mapping[TopicPartition, int]
    looks: int
    went_back: Sequence[str] = ()
    partitions: int = 0
    open: Mapping[TopicPartition, tuple[int, int]] = field(default_factory=dict)


def story_of(records: Mapping[str, Sequence[Record]], topics: TopicSettings) -> Story:
    """Return the story in the records of each topic."""
    inputs = (topics.frames, topics.captions, topics.audio)
    dead = _places(records[topics.dead_letters], "error")
    return Story(
        inputs={
            (topic, record.partition, record.offset): _identity(record)
            for topic in inputs
            for record in records[topic]
        },
        observations=[read_observation(r.value or b"") for r in records[topics.observations]],
        alerts=[read_alert(r.value or b"") for r in records[topics.alerts]],
        late=_places(records[topics.late_events], "late"),
        dead=dead,
        reasons=dict(zip(dead, map(_reason, records[topics.dead_letters]), strict=True)),
    )


def own_inputs(observation: Observation) -> frozenset[Place]:
    """Return the places of the events of the Moment itself, without the carried caption."""
    return frozenset(
        (each.topic, each.partition, each.offset) for each in observation.inputs if not each.carried
    )


def _reason(record: Record) -> str:
    return (dict(record.headers)["mmworker.error.reason"] or b"").decode()


def _places(records: Iterable[Record], prefix: str) -> list[Place]:
    found = []
    for record in records:
        named = {key: (value or b"").decode() for key, value in record.headers[-16:]}
        topic, *where = (named[f"mmworker.{prefix}.{n}"] for n in ("topic", "partition", "offset"))
        found.append((topic, int(where[0]), int(where[1])))
    return found


def _identity(record: Record) -> Identity | None:
    named = dict(record.headers)
    source, kind, name = (named.get(f"ce_{header}") for header in ("source", "type", "id"))
    return None if source is None or kind is None or name is None else (source, kind, name)
