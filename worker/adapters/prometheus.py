"""Telemetry as Prometheus metrics, in a registry of its own.

Every record that was consumed ends in one place, so in one process:

    consumed = paired + late + duplicate + dead letter + returned + known + buffered

`RECONCILIATION` says it in PromQL. Buffered are the records in no output yet, in pairing or behind
it; a caption that is only carried on is paired already. Returned are those that were buffered when
a rebalance or a failed commit took them away; their partition's next owner reads them again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from worker.adapters.metric_families import Families
from worker.adapters.metric_set import MetricSet
from worker.core.events import MODALITIES, Modality

RECONCILIATION = (
    "sum(mmworker_records_consumed_total)"
    " == sum(mmworker_events_total) + sum(mmworker_pairing_buffer_entries)"
)


class Metrics:
    """Implements worker.core.ports.Telemetry. `topics` are the names of the input topics."""

    def __init__(self, topics: Sequence[str]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # series which nothing here reads
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.families = families = Families(self.registry)
        self._set = MetricSet(families, topics)

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics as text, and its content type; OpenMetrics where `accept` names it."""
        if "application/openmetrics-text" in accept:
            text = openmetrics.generate_latest(self.registry)  # type: ignore[no-untyped-call]  # as it is
            return text, openmetrics.CONTENT_TYPE_LATEST
        return generate_latest(self.registry), CONTENT_TYPE_PLAIN_0_0_4

    def build(self, version: str, revision: str, torch: str, device: str) -> None:
        """Say what is running; once, at start."""
        self._set.build(version, revision, torch, device).set(1)

    def model(self, modality: str, model: str, digest: str) -> None:
        """Say which encoder a modality has; once each, at start."""
        self._set.model(modality, model, digest).set(1)

    def limits(self, false_alarms_per_day: float, max_buffered_bytes: int) -> None:
        """Say what the worker is held to, and alerts compare with; once, at start."""
        self._set.budget().set(false_alarms_per_day)
        self._set.buffer_limit().set(max_buffered_bytes)

    def consumed(self, topic: str, records: int, size: int) -> None:
        """Count records read, and the bytes of their values."""
        self._set.consumed(topic).inc(records)
        self._set.consumed_bytes(topic).inc(size)

    def assigned(self, partitions: Mapping[str, int]) -> None:
        """Take a changed assignment: partitions owned by topic. The lag of all is then unknown."""
        self._set.lag.clear()
        for topic, count in partitions.items():
            self._set.assigned(topic).set(count)

    def lag(self, topic: str, partition: int, records: int) -> None:
        """Set how far a partition is behind its end."""
        self._set.lag(topic, partition).set(records)

    def rebalanced(self, event: str) -> None:
        """Count a change of the assignment."""
        self._set.rebalances(event).inc()

    def polled(self, now: float) -> None:
        """Set the time of the last poll, in seconds since the epoch."""
        self._set.last_poll().set(now)

    def committed(self, now: float) -> None:
        """Set the time of the last commit, in seconds since the epoch."""
        self._set.last_commit().set(now)

    def commit_failed(self, reason: str) -> None:
        """Count a failed commit."""
        self._set.commit_failures(reason).inc()

    def events(self, modality: str, outcome: str, count: int) -> None:
        """Count records that ended in their one place."""
        self._set.events(modality, outcome).inc(count)

    def moments(self, outcome: str, count: int) -> None:
        """Count judged Moments."""
        self._set.moments(outcome).inc(count)

    def dead_lettered(self, topic: str, reason: str, count: int) -> None:
        """Count dead letters by the topic they came from."""
        self._set.dead_lettered(topic, reason).inc(count)

    def buffered(self, modality: str, entries: int, size: int) -> None:
        """Set what is in no output yet."""
        self._set.entries(modality).set(entries)
        self._set.bytes(modality).set(size)

    def stage(self, stage: str, seconds: float) -> None:
        """Observe the time of one batch in a stage."""
        self._set.stage(stage).observe(seconds)

    def queue(self, stage: str, depth: int, waited: float | None) -> None:
        """Set the batches that wait for a stage; observe how long the one taken has waited."""
        self._set.queue_depth(stage).set(depth)
        if waited is not None:
            self._set.queue_wait(stage).observe(waited)

    def encoded(self, modality: str, device: str, items: int) -> None:
        """Count the items of one run of an encoder."""
        self._set.encoded(modality, device).inc(items)
        self._set.batch(modality).observe(items)

    def encoder_failed(self, modality: str, reason: str) -> None:
        """Count a failed run of an encoder."""
        self._set.encoder_failures(modality, reason).inc()

    def speech(self, outcome: str) -> None:
        """Count a Moment in which speech was looked for by what came of it."""
        self._set.speech(outcome).inc()

    def cache(self, result: str, count: int) -> None:
        """Count embeddings by what the cache said."""
        self._set.cache(result).inc(count)

    def cache_time(self, operation: str, seconds: float) -> None:
        """Observe the time of one request."""
        self._set.cache_time(operation).observe(seconds)

    def scored(self, expert: str, score: float) -> None:
        """Observe an expert's score in [0, 1]."""
        self._set.score(expert).observe(score)

    def p_value(self, p_value: float) -> None:
        """Observe the p-value of a Moment that was judged."""
        self._set.p_value().observe(p_value)

    def warming_up(self) -> None:
        """Count a Moment of a source that warms up."""
        self._set.warming_up().inc()

    def drifting(self) -> None:
        """Count a Moment of a source whose p-values drift."""
        self._set.drifting().inc()

    def modality(self, modality: str, state: str) -> None:
        """Count a Moment by what it has of a modality: `present`, `carried` or `missing`."""
        self._set.modalities(modality, state).inc()

    def alert(self, severity: str, kind: str) -> None:
        """Count an alert message; `kind` is open, update or close."""
        self._set.alerts(severity, kind).inc()

    def shadow_p_value(self, p_value: float) -> None:
        """Observe the p-value that a Moment has by a bundle in shadow."""
        self._set.shadow_p_value().observe(p_value)

    def shadowed(self, severity: str, kind: str) -> None:
        """Count an alert message that the policies which are tried would have written."""
        self._set.shadow_alerts(severity, kind).inc()

    def suppressed(self, reason: str) -> None:
        """Count an unusual Moment that opened no alert."""
        self._set.suppressed(reason).inc()

    def heeded(self, label: str, effect: str) -> None:
        """Count feedback by what came of it."""
        self._set.feedback(label, effect).inc()

    def delay(self, stage: str, seconds: float, trace_id: str | None = None) -> None:
        """Observe the time from event time to a stage; a sum must not go down, so at least 0."""
        exemplar = None if trace_id is None else {"trace_id": trace_id}
        self._set.delay(stage).observe(max(0.0, seconds), exemplar)

    def watermark_delay(self, seconds: float) -> None:
        """Set the age of the slowest watermark."""
        self._set.watermark_delay().set(seconds)

    def filled(self, buffer: str, share: float) -> None:
        """Set which share of its bound a buffer holds."""
        self._set.fill(buffer).set(share)

    def degraded(self, component: str, active: bool) -> None:
        """Set whether the worker goes on without a component."""
        self._set.degraded(component).set(active)

    def overload(self, step: int) -> None:
        """Set how many steps of the overload ladder are taken."""
        self._set.overload().set(step)

    def sources(self, active: int, stale: int, stopped: Mapping[Modality, int]) -> None:
        """Set how many sources are sending, are silent, and send no more of a modality."""
        self._set.active().set(active)
        self._set.stale().set(stale)
        for modality in MODALITIES:
            self._set.stopped(modality).set(stopped.get(modality, 0))


def metrics_table() -> str:
    """Return the table of all metrics: name, type, labels, meaning."""
    metrics = Metrics(topics=())
    rows = []
    for family in metrics.registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = ", ".join(f"`{label}`" for label in metrics.families.labels.get(name, ()))
        rows.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(["| name | type | labels | meaning |", "|---|---|---|---|", *rows]) + "\n"
