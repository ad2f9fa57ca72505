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
from worker.core.events import MODALITIES
from worker.core.policy import Severity
from worker.errors import Reason
from worker.scoring.experts import VOTES

RECONCILIATION = (
    "sum(mmworker_records_consumed_total)"
    " == sum(mmworker_events_total) + sum(mmworker_pairing_buffer_entries)"
)

REBALANCE_EVENTS = ("assigned", "revoked", "lost")
# Reasons of a LogError: the worker's own, then Kafka's, by the names of the client's errors.
COMMIT_FAILURES = (
    *("not_a_member", "split_assignment", "commit_timeout", "refused", "offset_out_of_range"),
    *("commit_failed", "illegal_generation", "unknown_member_id", "rebalance_in_progress"),
    *("producer_fenced", "fenced_instance_id", "invalid_producer_epoch", "transaction_aborted"),
    *("kafka_timeout", "request_timed_out", "kafka_connection", "coordinator_not_available"),
    *("not_coordinator", "not_leader_for_partition", "not_enough_replicas"),
    *("message_size_too_large", "topic_authorization_failed", "group_authorization_failed"),
)
EVENT_OUTCOMES = ("paired", "late", "duplicate", "dead_letter", "returned", "known")
MOMENT_OUTCOMES = ("complete", "partial", "carried", "idle_closed")
DELAY_STAGES = ("ingest", "scored", "published")
STAGES = ("decode", "preprocess", "encode", "fuse", "score", "publish", "commit")
DEVICES = ("cpu", "cuda")
ENCODER_FAILURES = ("not_finite", "zero", "out_of_memory", "error")
CACHE_RESULTS = ("hit", "near", "miss", "error", "bypass")
CACHE_OPERATIONS = ("get", "put")
EXPERTS = tuple(name for experts in VOTES.values() for name in experts)
ALERT_TYPES = ("open", "update", "close")
SUPPRESSIONS = ("debounce", "cooldown")
COMPONENTS = ("redis", "encoder")

# The largest bound of each lies beyond every alert limit on it, so that a quantile can reach it.
DELAY_BUCKETS = (0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 15, 30, 60, 120, 300)
STAGE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
CACHE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SCORE_BUCKETS = tuple(step / 20 for step in range(1, 21))


class Metrics:
    """Implements worker.core.ports.Telemetry. `topics` are the names of the input topics."""

    def __init__(self, topics: Sequence[str]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # series which nothing here reads
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.families = families = Families(self.registry)
        counter, gauge, histogram = families.counter, families.gauge, families.histogram
        reasons = tuple(Reason)

        self._build = gauge(
            "build_info",
            "1, labelled with what is running",
            version=None,
            revision=None,
            torch=None,
            device=None,
        )
        self._model = gauge(
            "model_info",
            "1, labelled with the encoder of each modality",
            modality=None,
            model=None,
            digest=None,
        )
        self._consumed = counter("records_consumed_total", "Records read", topic=topics)
        self._consumed_bytes = counter("consumed_bytes_total", "Bytes of values read", topic=topics)
        self._lag = gauge(
            "consumer_lag_records",
            "Records behind the end of a partition; never zero while windows are open",
            topic=topics,
            partition=None,
        )
        self._assigned = gauge("assigned_partitions", "Partitions owned", topic=topics)
        self._rebalances = counter(
            "rebalances_total", "Changes of the assignment", event=REBALANCE_EVENTS
        )
        self._last_poll = gauge("last_poll_timestamp_seconds", "Time of the last poll")
        self._last_commit = gauge("last_commit_timestamp_seconds", "Time of the last commit")
        self._commit_failures = counter(
            "commit_failures_total", "Commits that failed", reason=COMMIT_FAILURES
        )
        self._delay = histogram(
            "event_delay_seconds",
            "From event time to the stage; times ahead count as 0",
            DELAY_BUCKETS,
            stage=DELAY_STAGES,
        )
        self._watermark_delay = gauge(
            "watermark_delay_seconds", "Age of the watermark of the slowest source"
        )
        self._moments = counter("moments_total", "Moments judged", outcome=MOMENT_OUTCOMES)
        self._events = counter(
            "events_total",
            "Records that have ended in their one place",
            modality=MODALITIES,
            outcome=EVENT_OUTCOMES,
        )
        self._entries = gauge(
            "pairing_buffer_entries", "Records read that are in no output yet", modality=MODALITIES
        )
        self._bytes = gauge(
            "pairing_buffer_bytes", "Bytes of the records in no output yet", modality=MODALITIES
        )
        self._stage = histogram(
            "stage_duration_seconds", "Time of one batch in a stage", STAGE_BUCKETS, stage=STAGES
        )
        self._queue_depth = gauge("queue_depth", "Batches that wait for a stage", stage=STAGES)
        self._queue_wait = histogram(
            "queue_wait_seconds", "Wait of one batch for a stage", STAGE_BUCKETS, stage=STAGES
        )
        self._batch = histogram(
            "batch_size", "Items per run of an encoder", BATCH_BUCKETS, modality=MODALITIES
        )
        self._encoded = counter(
            "encoder_items_total", "Items encoded", modality=MODALITIES, device=DEVICES
        )
        self._encoder_failures = counter(
            "encoder_failures_total",
            "Runs of an encoder that failed",
            modality=MODALITIES,
            reason=ENCODER_FAILURES,
        )
        self._cache = counter(
            "cache_requests_total", "Embeddings looked up in the cache", result=CACHE_RESULTS
        )
        self._cache_time = histogram(
            "cache_request_duration_seconds",
            "Time of one request to the cache",
            CACHE_BUCKETS,
            op=CACHE_OPERATIONS,
        )
        self._score = histogram(
            "score", "Scores of Moments, 0..1, 1 is most abnormal", SCORE_BUCKETS, expert=EXPERTS
        )
        self._alerts = counter(
            "alerts_total", "Alert messages", severity=tuple(Severity), type=ALERT_TYPES
        )
        self._suppressed = counter(
            "alerts_suppressed_total", "Unusual Moments that opened no alert", reason=SUPPRESSIONS
        )
        self._dead_lettered = counter(
            "dead_lettered_total", "Records that cannot be accepted", topic=topics, reason=reasons
        )
        self._degraded = gauge(
            "degraded", "1 while the worker goes on without a component", component=COMPONENTS
        )
        self._active = gauge("sources_active", "Sources that are sending")
        self._stale = gauge("sources_stale", "Sources that have fallen silent")

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics as text, and its content type; OpenMetrics where `accept` names it."""
        if "application/openmetrics-text" in accept:
            text = openmetrics.generate_latest(self.registry)  # type: ignore[no-untyped-call]  # as it is
            return text, openmetrics.CONTENT_TYPE_LATEST
        return generate_latest(self.registry), CONTENT_TYPE_PLAIN_0_0_4

    def build(self, version: str, revision: str, torch: str, device: str) -> None:
        """Say what is running; once, at start."""
        self._build(version, revision, torch, device).set(1)

    def model(self, modality: str, model: str, digest: str) -> None:
        """Say which encoder a modality has; once each, at start."""
        self._model(modality, model, digest).set(1)

    def consumed(self, topic: str, records: int, size: int) -> None:
        """Count records read, and the bytes of their values."""
        self._consumed(topic).inc(records)
        self._consumed_bytes(topic).inc(size)

    def assigned(self, partitions: Mapping[str, int]) -> None:
        """Take a changed assignment: partitions owned by topic. The lag of all is then unknown."""
        self._lag.clear()
        for topic, count in partitions.items():
            self._assigned(topic).set(count)

    def lag(self, topic: str, partition: int, records: int) -> None:
        """Set how far a partition is behind its end."""
        self._lag(topic, partition).set(records)

    def rebalanced(self, event: str) -> None:
        """Count a change of the assignment."""
        self._rebalances(event).inc()

    def polled(self, now: float) -> None:
        """Set the time of the last poll, in seconds since the epoch."""
        self._last_poll().set(now)

    def committed(self, now: float) -> None:
        """Set the time of the last commit, in seconds since the epoch."""
        self._last_commit().set(now)

    def commit_failed(self, reason: str) -> None:
        """Count a failed commit."""
        self._commit_failures(reason).inc()

    def events(self, modality: str, outcome: str, count: int) -> None:
        """Count records that ended in their one place."""
        self._events(modality, outcome).inc(count)

    def moments(self, outcome: str, count: int) -> None:
        """Count judged Moments."""
        self._moments(outcome).inc(count)

    def dead_lettered(self, topic: str, reason: str, count: int) -> None:
        """Count dead letters by the topic they came from."""
        self._dead_lettered(topic, reason).inc(count)

    def buffered(self, modality: str, entries: int, size: int) -> None:
        """Set what is in no output yet."""
        self._entries(modality).set(entries)
        self._bytes(modality).set(size)

    def stage(self, stage: str, seconds: float) -> None:
        """Observe the time of one batch in a stage."""
        self._stage(stage).observe(seconds)

    def queue(self, stage: str, depth: int, waited: float | None) -> None:
        """Set the batches that wait for a stage; observe how long the one taken has waited."""
        self._queue_depth(stage).set(depth)
        if waited is not None:
            self._queue_wait(stage).observe(waited)

    def encoded(self, modality: str, device: str, items: int) -> None:
        """Count the items of one run of an encoder."""
        self._encoded(modality, device).inc(items)
        self._batch(modality).observe(items)

    def encoder_failed(self, modality: str, reason: str) -> None:
        """Count a failed run of an encoder."""
        self._encoder_failures(modality, reason).inc()

    def cache(self, result: str, count: int) -> None:
        """Count embeddings by what the cache said."""
        self._cache(result).inc(count)

    def cache_time(self, operation: str, seconds: float) -> None:
        """Observe the time of one request."""
        self._cache_time(operation).observe(seconds)

    def scored(self, expert: str, score: float) -> None:
        """Observe an expert's score in [0, 1]."""
        self._score(expert).observe(score)

    def alert(self, severity: str, kind: str) -> None:
        """Count an alert message; `kind` is open, update or close."""
        self._alerts(severity, kind).inc()

    def suppressed(self, reason: str) -> None:
        """Count an unusual Moment that opened no alert."""
        self._suppressed(reason).inc()

    def delay(self, stage: str, seconds: float) -> None:
        """Observe the time from event time to a stage; a sum must not go down, so at least 0."""
        self._delay(stage).observe(max(0.0, seconds))

    def watermark_delay(self, seconds: float) -> None:
        """Set the age of the slowest watermark."""
        self._watermark_delay().set(seconds)

    def degraded(self, component: str, active: bool) -> None:
        """Set whether the worker goes on without a component."""
        self._degraded(component).set(active)

    def sources(self, active: int, stale: int) -> None:
        """Set how many sources are sending, and how many have fallen silent."""
        self._active().set(active)
        self._stale().set(stale)


def metrics_table() -> str:
    """Return the table of all metrics: name, type, labels, meaning."""
    metrics = Metrics(topics=())
    rows = []
    for family in metrics.registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = ", ".join(f"`{label}`" for label in metrics.families.labels.get(name, ()))
        rows.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(["| name | type | labels | meaning |", "|---|---|---|---|", *rows]) + "\n"
