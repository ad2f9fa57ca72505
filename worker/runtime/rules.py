"""What a worker and its partition indices are set to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from worker.core.alert_policies import AlertPolicies
from worker.core.checkpoint import Meaning
from worker.core.dead_letter_limit import DeadLetterRules
from worker.core.envelope import EnvelopeRules
from worker.core.pairing_rules import PairingRules
from worker.core.ports import TopicPartition
from worker.runtime.compose import Composer, OutputTopics
from worker.runtime.recovery import RecoveryRules


@dataclass(frozen=True, slots=True)
class ShardRules:
    """All that one partition index needs to know."""

    envelope: EnvelopeRules
    pairing: PairingRules
    alerts: AlertPolicies
    shadow: AlertPolicies | None
    topics: OutputTopics
    max_dead_letter_bytes: int
    worker: str
    meaning: Meaning
    topic_ids: Mapping[str, str]
    max_reference_age: int = 0  # microseconds of event time; 0: Moments know of no other

    @property
    def partitions(self) -> list[TopicPartition]:
        """All partitions that are read."""
        indices, topics = range(self.meaning.partitions), list(self.envelope.modality_of_topic)
        if self.envelope.feedback_topic is not None:
            topics.append(self.envelope.feedback_topic)
        return [TopicPartition(topic, index) for topic in topics for index in indices]


@dataclass(frozen=True, slots=True)
class WorkerRules:
    """All that a worker needs to know."""

    shard: ShardRules
    composer: Composer
    recovery: RecoveryRules
    max_buffered_bytes: int
    max_resident_bytes: int
    long_wait: int | None  # microseconds; None: the effort never changes
    dead_letters: DeadLetterRules
