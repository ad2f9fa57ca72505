"""Turns what happened into telemetry, in one place, and the decisions of note into log lines.

What was read, how it ended and what waits is told in one go, now and then: so the counts reconcile
whenever somebody looks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import structlog

from worker.core.effort import LADDER, Step
from worker.core.events import MODALITIES, Modality, Record
from worker.core.messages import Alert, Heeded
from worker.core.moment import Moment
from worker.core.ports import Polled, Telemetry, TopicPartition
from worker.core.rfc3339 import MICROSECONDS
from worker.core.tracing import Traced
from worker.runtime.judge import Settled
from worker.runtime.logs import source_hash
from worker.runtime.shadow import Shadowed
from worker.runtime.shard import INDEX_BUFFERS, Shard

log = structlog.get_logger(__name__)


class Reporter:
    """Remembers just enough to report differences."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._assignment: frozenset[TopicPartition] | None = None
        self._consumed: Counter[str] = Counter()
        self._consumed_bytes: Counter[str] = Counter()
        self._outcomes: Counter[tuple[str, str]] = Counter()
        self._step = Step.FULL
        self._buffered: frozenset[str] = frozenset(MODALITIES)  # kinds of inputs told of so far
        self._rejections: Counter[tuple[str, str]] = Counter()

    def polled(self, polled: Polled, now: int) -> None:
        """Report one poll."""
        self._telemetry.polled(now / MICROSECONDS)
        if polled.assignment != self._assignment:  # before the lag: it forgets the old one's
            self._rebalanced(self._assignment or frozenset(), polled)
            self._assignment = polled.assignment
        for partition, lag in polled.lag.items():
            self._telemetry.lag(partition.topic, partition.partition, lag)

    def consumed(self, topic: str, records: Sequence[Record]) -> None:
        """Note that records of a topic were taken over."""
        self._consumed[topic] += len(records)
        self._consumed_bytes[topic] += sum(len(one.value or b"") for one in records)

    def ingested(self, shards: Iterable[Shard], now: int) -> None:
        """Report how old the events are that were taken in since the last call."""
        for shard in shards:
            for begun in shard.intake.ingested:
                self._delayed("ingest", begun, now)
            shard.intake.ingested.clear()

    def settled(self, settled: Settled, now: int) -> None:
        """Report one judged Moment."""
        self._delayed("scored", settled.ended, now)
        self._telemetry.moments(_outcome(settled), 1)
        for modality, state in _states(settled.moment):
            self._telemetry.modality(modality, state)
        assessment = settled.scored.assessment
        for name, expert in assessment.opinions.items():
            self._telemetry.scored(name, expert.score)
        if assessment.p_value is not None:
            self._telemetry.p_value(assessment.p_value)
        if assessment.warming_up:
            self._telemetry.warming_up()
        if assessment.drifting:
            self._telemetry.drifting()
        for alert in settled.alerts:
            self._telemetry.alert(alert.severity, alert.type)
            _log_alert(alert)
        if settled.shadow is not None:
            self._shadowed(settled.shadow)
        for each in settled.heeded:
            self._telemetry.heeded(each.feedback.label, each.effect)
            _log_heeded(each)
        if settled.decision.suppressed is not None:
            self._telemetry.suppressed(settled.decision.suppressed)

    def committed(self, ends: Iterable[Traced], seconds: float, now: int) -> None:
        """Report a commit of `seconds`, with observations of the windows that end at `ends`."""
        self._telemetry.committed(now / MICROSECONDS)
        self._telemetry.stage("commit", seconds)
        for end in ends:
            self._delayed("published", end, now)

    def stage(self, stage: str, seconds: float) -> None:
        """Report the time of one batch in a stage of the poll loop."""
        self._telemetry.stage(stage, seconds)

    def queues(self, waiting: Mapping[str, int]) -> None:
        """Report the batches that wait in front of each stage."""
        for stage, depth in waiting.items():
            self._telemetry.queue(stage, depth, None)

    def effort(self, step: Step) -> None:
        """Report the step of the ladder that is taken."""
        if step is not self._step:
            log.warning("the effort per Moment changes with the load", step=step, before=self._step)
            self._step = step
        self._telemetry.degraded("overload", step is not Step.FULL)
        self._telemetry.overload(LADDER.index(step))

    def filled(self, shares: Mapping[str, float], shards: Iterable[Shard]) -> None:
        """Report which share of its bound each buffer holds, of the shards' own the fullest."""
        own = dict.fromkeys(INDEX_BUFFERS, 0.0)
        for shard in shards:
            own = {name: max(own[name], share) for name, share in shard.fill().items()}
        for buffer, share in {**shares, **own}.items():
            self._telemetry.filled(buffer, share)

    def dropped(self, shard: Shard) -> None:
        """Note that a shard goes away: its partition's next owner reads again what it holds."""
        self._collect(shard)
        for modality, (entries, _) in shard.buffered().items():
            self._outcomes[modality, "returned"] += entries

    def shards(self, shards: Collection[Shard], now: int) -> None:
        """Report what the shards hold and count, and all that was noted before."""
        entries, size = Counter(dict.fromkeys(self._buffered, 0)), Counter[str]()
        for shard in shards:
            self._collect(shard)
            for modality, (held, held_bytes) in shard.buffered().items():
                entries[modality] += held
                size[modality] += held_bytes
        self._flush()
        self._buffered = frozenset(entries)
        for kind in sorted(entries):
            self._telemetry.buffered(kind, entries[kind], size[kind])
        pairings = [shard.intake.pairing for shard in shards]
        active = sum(pairing.active_sources for pairing in pairings)
        silent = sum(pairing.silent_sources for pairing in pairings)
        stopped = sum((pairing.stopped() for pairing in pairings), Counter[Modality]())
        self._telemetry.sources(active, silent, stopped)
        marks = [pairing.oldest_watermark() for pairing in pairings]
        oldest = min((mark for mark in marks if mark is not None), default=None)
        if oldest is not None:
            self._telemetry.watermark_delay((now - oldest) / MICROSECONDS)

    def _shadowed(self, shadow: Shadowed) -> None:
        p_value = None if shadow.scored is None else shadow.scored.assessment.p_value
        if p_value is not None:
            self._telemetry.shadow_p_value(p_value)
        if shadow.record.severity is not None:
            for kind in shadow.record.messages:
                self._telemetry.shadowed(shadow.record.severity, kind)

    def _delayed(self, stage: str, since: Traced, now: int) -> None:
        self._telemetry.delay(stage, (now - since.time) / MICROSECONDS, since.trace_id)

    def _collect(self, shard: Shard) -> None:
        self._outcomes.update(shard.outputs.outcomes)
        self._rejections.update(shard.outputs.rejections)
        shard.outputs.outcomes.clear()
        shard.outputs.rejections.clear()

    def _flush(self) -> None:
        for topic, count in self._consumed.items():
            self._telemetry.consumed(topic, count, self._consumed_bytes[topic])
        for (modality, outcome), count in self._outcomes.items():
            self._telemetry.events(modality, outcome, count)
        for (topic, reason), count in self._rejections.items():
            self._telemetry.dead_lettered(topic, reason, count)
            log.warning("dead letters", topic=topic, reason=reason, count=count)
        for counter in (self._consumed, self._consumed_bytes):
            counter.clear()
        for pairs in (self._outcomes, self._rejections):
            pairs.clear()

    def _rebalanced(self, before: frozenset[TopicPartition], polled: Polled) -> None:
        after = polled.assignment
        if after - before:
            self._telemetry.rebalanced("assigned")
        if before - after:
            self._telemetry.rebalanced("revoked" if polled.ownership is not None else "lost")
        if after != before:  # at first it joins with nothing
            got, gone = len(after - before), len(before - after)
            log.info("partitions changed", got=got, gone=gone, owned=len(after))
        counts = Counter(partition.topic for partition in after)
        topics = {partition.topic for partition in before | after}
        self._telemetry.assigned({topic: counts[topic] for topic in topics})


def _log_alert(alert: Alert) -> None:
    log.info(
        "alert",
        kind=alert.type,
        severity=alert.severity,
        reasons=alert.reasons,
        source=source_hash(alert.source),
    )


def _log_heeded(heeded: Heeded) -> None:
    log.info(
        "feedback",
        label=heeded.feedback.label,
        effect=heeded.effect,
        factor=heeded.factor,
        source=source_hash(heeded.feedback.source),
    )


def _states(moment: Moment) -> Iterator[tuple[Modality, str]]:
    named = {"present": moment.present, "carried": moment.carried_modalities}
    for state, modalities in {**named, "missing": moment.missing}.items():
        for modality in modalities:
            yield modality, state


def _outcome(settled: Settled) -> str:
    moment = settled.moment
    if moment.closed_by == "silence":
        return "idle_closed"
    if moment.carried_modalities:
        return "carried"
    return "partial" if moment.missing else "complete"
