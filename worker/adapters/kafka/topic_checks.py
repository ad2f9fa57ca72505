"""What must hold of the topics before a worker starts, and how they are to be created."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from worker.adapters.kafka.admin import KafkaAdmin, TopicInfo, TopicSpec
from worker.adapters.kafka.rights import lacking
from worker.config import TopicSettings
from worker.core.message_sizes import MAX_MESSAGE_BYTES

_ENVELOPE_BYTES = 64 * 1024  # headers and framing beside a record's value
# A successor reads all of the topic: what was replaced is to be gone from it soon.
_COMPACTED = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.2",  # of what is there; the brokers' default is 0.5
    "segment.bytes": str(64 * 1024 * 1024),  # the newest segment is never cleaned; default 1 GiB
}
# A commit is acknowledged once so many replicas have it; then the loss of one broker loses nothing.
_SAFE = {"min.insync.replicas": "2"}
_REPLICAS_FOR_SAFE = 3  # with two of two, one broker that is away would stop all writes
_RETENTION = timedelta(hours=24)  # of Observations; a successor reads what it does not have stored
_MILLISECOND = timedelta(milliseconds=1)
_CREATE_HINT = "run `mmworker topics create`"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the topics to put right. With an error the worker does not start."""

    severity: Literal["error", "warning"]
    sentence: str


def specs(
    topics: TopicSettings, partitions: int, max_record_bytes: int, replication_factor: int = -1
) -> list[TopicSpec]:
    """Return all topics as they should be, with as many partitions each."""
    safe = _SAFE if replication_factor >= _REPLICAS_FOR_SAFE else {}
    appended = {"message.timestamp.type": "LogAppendTime"}
    large = {"max.message.bytes": str(max_record_bytes + _ENVELOPE_BYTES)}
    whole = (*inputs(topics), topics.dead_letters, topics.late_events)
    config = dict.fromkeys(whole, appended | large)
    own = {"max.message.bytes": str(max(max_record_bytes, MAX_MESSAGE_BYTES) + _ENVELOPE_BYTES)}
    config |= {topics.alerts: own, topics.observations: own, topics.feedback: appended}
    config |= {topics.snapshots: _COMPACTED | own}
    return [
        TopicSpec(name, partitions, each | safe, replication_factor)
        for name, each in config.items()
    ]


def inputs(topics: TopicSettings) -> tuple[str, str, str]:
    """Return the names of the three input topics."""
    return topics.frames, topics.captions, topics.audio


def read_topics(topics: TopicSettings, found: Container[str]) -> tuple[str, ...]:
    """Return the names of the topics that a worker reads: the inputs, and feedback if it exists."""
    return inputs(topics) + ((topics.feedback,) if topics.feedback in found else ())


def check_topics(admin: KafkaAdmin, topics: TopicSettings, max_record_bytes: int) -> list[Finding]:
    """Ask the brokers and return what is wrong. Raises OperatorError."""
    names = [spec.name for spec in specs(topics, 1, max_record_bytes)]
    return findings(topics, admin.describe(names), max_record_bytes)


def findings(
    topics: TopicSettings, found: Mapping[str, TopicInfo], max_record_bytes: int
) -> list[Finding]:
    """Return what is wrong with the topics, errors first.

    Where rights are lacking only that is told: the rest cannot be known.
    """
    if sentences := list(lacking(topics, found)):
        return [Finding("error", each) for each in sentences]
    everything = [
        *_missing(topics, found, max_record_bytes),
        *_unequal(topics, found),
        *_sizes(topics, found, max_record_bytes),
        *_times(topics, found),
        *_compaction(topics, found),
        *_safety(found),
        *_retention(topics, found),
    ]
    return sorted(everything, key=lambda finding: finding.severity)


def unlike(topics: TopicSettings, found: Mapping[str, TopicInfo], partitions: int) -> list[Finding]:
    """Return which inputs exist with another number of partitions."""
    return [
        Finding(
            "error",
            f"topic {name} has {found[name].partitions} partitions, not {partitions}: name the"
            " number that it has, or drain the workers and add partitions (deploy/RUNBOOK.md)",
        )
        for name in inputs(topics)
        if name in found and found[name].partitions != partitions
    ]


def _missing(
    topics: TopicSettings, found: Mapping[str, TopicInfo], max_record_bytes: int
) -> Iterator[Finding]:
    for spec in specs(topics, 1, max_record_bytes):
        if spec.name == topics.feedback and spec.name not in found:
            yield Finding(
                "warning",
                f"there is no topic {spec.name}, so what people say about alerts is not heard:"
                f" {_CREATE_HINT} and start all workers anew",
            )
        elif spec.name not in found:
            yield Finding("error", f"there is no topic {spec.name}: {_CREATE_HINT}")


def _unequal(topics: TopicSettings, found: Mapping[str, TopicInfo]) -> Iterator[Finding]:
    counts = {name: found[name].partitions for name in inputs(topics) if name in found}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        yield Finding(
            "error",
            f"the input topics have unequal numbers of partitions ({told}): give them the same,"
            " else the events of one source come to different workers",
        )
        return
    expected = next(iter(counts.values()), None)
    for name, why in (
        (topics.observations, "a worker looks for its sources' state there"),
        (topics.snapshots, "a worker looks for its sources' state there"),
        (topics.feedback, "what is said about a source is read by who reads the source"),
    ):
        if expected is not None and name in found and found[name].partitions != expected:
            yield Finding(
                "error",
                f"topic {name} has {found[name].partitions} partitions and the inputs have"
                f" {expected}: give it the same, {why}",
            )


def _sizes(
    topics: TopicSettings, found: Mapping[str, TopicInfo], max_record_bytes: int
) -> Iterator[Finding]:
    sizes = {name: int(info.config.get("max.message.bytes", 0)) for name, info in found.items()}
    read = [sizes[name] for name in inputs(topics) if name in sizes]
    needed = min(max_record_bytes, max(read, default=0))
    for name in (topics.dead_letters, topics.late_events):
        if name in sizes and sizes[name] < needed + _ENVELOPE_BYTES:
            yield Finding(
                "error",
                f"topic {name} takes records of {sizes[name]} bytes at most: set its"
                f" max.message.bytes to {needed + _ENVELOPE_BYTES}, for it gets whole inputs",
            )
    for name in (topics.alerts, topics.observations, topics.snapshots):
        if name in sizes and sizes[name] < MAX_MESSAGE_BYTES + _ENVELOPE_BYTES:
            yield Finding(
                "error",
                f"topic {name} takes records of {sizes[name]} bytes at most: set its"
                f" max.message.bytes to {MAX_MESSAGE_BYTES + _ENVELOPE_BYTES}, which a Moment of"
                " many events, or a source's state, may take",
            )
    for name in inputs(topics):
        if name in sizes and sizes[name] < max_record_bytes:
            yield Finding(
                "warning",
                f"topic {name} takes records of {sizes[name]} bytes at most, less than"
                f" limits.max_record_bytes ({max_record_bytes}): raise its max.message.bytes,"
                " or lower the limit",
            )


def _times(topics: TopicSettings, found: Mapping[str, TopicInfo]) -> Iterator[Finding]:
    for name in inputs(topics):
        kind = found[name].config.get("message.timestamp.type") if name in found else None
        if kind not in (None, "LogAppendTime"):
            yield Finding(
                "warning",
                f"topic {name} keeps its producers' times ({kind}): set its"
                " message.timestamp.type to LogAppendTime, else a replay may decide otherwise",
            )


def _compaction(topics: TopicSettings, found: Mapping[str, TopicInfo]) -> Iterator[Finding]:
    name = topics.snapshots
    policy = found[name].config.get("cleanup.policy", "compact") if name in found else "compact"
    if "compact" not in policy:
        yield Finding(
            "warning",
            f"topic {name} is not compacted: set its cleanup.policy to compact, else it grows",
        )


def _safety(found: Mapping[str, TopicInfo]) -> Iterator[Finding]:
    (key, wanted), *_ = _SAFE.items()
    weak = sorted(
        name
        for name, info in found.items()
        if info.replicas >= _REPLICAS_FOR_SAFE and int(info.config.get(key, wanted)) < int(wanted)
    )
    if weak:
        yield Finding(
            "warning",
            f"topics {', '.join(weak)} take a record for written with one replica: set their {key}"
            f" to {wanted}, else the loss of a broker can lose what was committed",
        )


def _retention(topics: TopicSettings, found: Mapping[str, TopicInfo]) -> Iterator[Finding]:
    config = found[topics.observations].config if topics.observations in found else {}
    kept = int(config.get("retention.ms", -1))
    if "delete" in config.get("cleanup.policy", "") and 0 <= kept < _RETENTION / _MILLISECOND:
        yield Finding(
            "warning",
            f"topic {topics.observations} keeps its records for {kept} ms only: set its"
            f" retention.ms to {_RETENTION // _MILLISECOND} or more, else a worker that takes over"
            " a source may not find what it needs and let it warm up again",
        )
