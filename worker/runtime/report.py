"""Turns what happened into telemetry, in one place."""

from __future__ import annotations

from collections import Counter

from worker.core.events import MODALITIES
from worker.core.ports import Polled, Telemetry, TopicPartition
from worker.core.rfc3339 import MICROSECONDS
from worker.runtime.shard import Settled, Shard


class Reporter:
    """Remembers just enough to report differences."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._assignment: frozenset[TopicPartition] | None = None

    def polled(self, polled: Polled, now: int) -> None:
        """Report one poll."""
        self._telemetry.polled(now / MICROSECONDS)
        if polled.assignment != self._assignment:  # before the lag: it forgets the old one's
            self._rebalanced(self._assignment or frozenset(), polled.assignment)
            self._assignment = polled.assignment
        for partition, records in polled.records.items():
            size = sum(len(record.value or b"") for record in records)
            self._telemetry.consumed(partition.topic, len(records), size)
        for partition, lag in polled.lag.items():
            self._telemetry.lag(partition.topic, partition.partition, lag)

    def settled(self, settled: Settled | None, now: int) -> None:
        """Report one judged Moment."""
        if settled is None:
            return
        moment = settled.moment
        self._telemetry.delay("scored", (now - moment.end) / MICROSECONDS)
        self._telemetry.moments(_outcome(settled), 1)
        for name, expert in settled.scored.assessment.experts.items():
            self._telemetry.scored(name, expert.score)
        if settled.alert is not None:
            self._telemetry.alert(settled.alert.severity, settled.alert.type)
        if settled.decision.suppressed is not None:
            self._telemetry.suppressed(settled.decision.suppressed)

    def shards(self, shards: list[Shard], now: int) -> int:
        """Report what the shards hold and count; return the bytes that pairing holds."""
        entries, size = Counter[str](), Counter[str]()
        for shard in shards:
            for (modality, outcome), count in shard.outcomes.items():
                self._telemetry.events(modality, outcome, count)
            for (topic, reason), count in shard.rejections.items():
                self._telemetry.dead_lettered(topic, reason, count)
            shard.outcomes.clear()
            shard.rejections.clear()
            for modality, (held, held_bytes) in shard.buffered().items():
                entries[modality] += held
                size[modality] += held_bytes
        for modality in MODALITIES:
            self._telemetry.buffered(modality, entries[modality], size[modality])
        sources = [shard.sources for shard in shards]
        self._telemetry.sources(sum(active for active, _ in sources), sum(s for _, s in sources))
        marks = [shard.oldest_watermark for shard in shards]
        oldest = min((mark for mark in marks if mark is not None), default=None)
        if oldest is not None:
            self._telemetry.watermark_delay((now - oldest) / MICROSECONDS)
        return size.total()

    def _rebalanced(
        self, before: frozenset[TopicPartition], after: frozenset[TopicPartition]
    ) -> None:
        if after - before:
            self._telemetry.rebalanced("assigned")
        if before - after:
            self._telemetry.rebalanced("revoked")
        counts = Counter(partition.topic for partition in after)
        topics = {partition.topic for partition in before | after}
        self._telemetry.assigned({topic: counts[topic] for topic in topics})


def _outcome(settled: Settled) -> str:
    moment = settled.moment
    if moment.closed_by == "silence":
        return "idle_closed"
    if moment.carried_modalities:
        return "carried"
    return "partial" if moment.missing else "complete"
