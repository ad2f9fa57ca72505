"""All metrics of a worker: names, meanings, labels, buckets."""

from __future__ import annotations

from collections.abc import Sequence

from worker.adapters import metric_values as values
from worker.adapters.metric_families import Families
from worker.core.alerts import SUPPRESSIONS
from worker.core.events import MODALITIES
from worker.core.messages.feedback import EFFECTS, LABELS
from worker.core.policy import Severity
from worker.errors import Reason


class MetricSet:
    """One attribute per metric. `topics` are the names of the input topics."""

    def __init__(self, families: Families, topics: Sequence[str]) -> None:
        counter, gauge, histogram = families.counter, families.gauge, families.histogram

        self.build = gauge(
            "build_info",
            "1, labelled with what is running",
            version=None,
            revision=None,
            torch=None,
            device=None,
        )
        self.model = gauge(
            "model_info",
            "1, labelled with the encoder of each modality",
            modality=None,
            model=None,
            digest=None,
        )
        self.consumed = counter("records_consumed_total", "Records read", topic=topics)
        self.consumed_bytes = counter("consumed_bytes_total", "Bytes of values read", topic=topics)
        self.lag = gauge(
            "consumer_lag_records",
            "Records of a partition that are not read yet",
            topic=topics,
            partition=None,
        )
        self.assigned = gauge("assigned_partitions", "Partitions owned", topic=topics)
        self.rebalances = counter(
            "rebalances_total", "Changes of the assignment", event=values.REBALANCE_EVENTS
        )
        self.last_poll = gauge("last_poll_timestamp_seconds", "Time of the last poll")
        self.last_commit = gauge("last_commit_timestamp_seconds", "Time of the last commit")
        self.commit_failures = counter(
            "commit_failures_total", "Commits that failed", reason=values.COMMIT_FAILURES
        )
        self.delay = histogram(
            "event_delay_seconds",
            "From event time to the stage; times ahead count as 0",
            values.DELAY_BUCKETS,
            stage=values.DELAY_STAGES,
        )
        self.watermark_delay = gauge(
            "watermark_delay_seconds", "Age of the watermark of the slowest source"
        )
        self.moments = counter("moments_total", "Moments judged", outcome=values.MOMENT_OUTCOMES)
        self.events = counter(
            "events_total",
            "Records that have ended in their one place",
            modality=values.KINDS,
            outcome=values.EVENT_OUTCOMES,
        )
        self.entries = gauge(
            "pairing_buffer_entries",
            "Records read that are in no output yet",
            modality=values.KINDS,
        )
        self.bytes = gauge(
            "pairing_buffer_bytes", "Bytes of the records in no output yet", modality=values.KINDS
        )
        self.fill = gauge(
            "buffer_fill_ratio",
            "Share of its bound that a buffer holds; 1 is full",
            buffer=values.BUFFERS,
        )
        self.stage = histogram(
            "stage_duration_seconds",
            "Time of one batch in a stage",
            values.STAGE_BUCKETS,
            stage=values.STAGES,
        )
        self.queue_depth = gauge(
            "queue_depth", "Batches that wait for a stage", stage=values.QUEUES
        )
        self.queue_wait = histogram(
            "queue_wait_seconds",
            "Wait of one batch for a stage",
            values.STAGE_BUCKETS,
            stage=values.QUEUES,
        )
        self.batch = histogram(
            "batch_size", "Items per run of an encoder", values.BATCH_BUCKETS, modality=MODALITIES
        )
        self.encoded = counter(
            "encoder_items_total", "Items encoded", modality=MODALITIES, device=values.DEVICES
        )
        self.encoder_failures = counter(
            "encoder_failures_total",
            "Runs of an encoder that failed",
            modality=MODALITIES,
            reason=values.ENCODER_FAILURES,
        )
        self.speech = counter(
            "speech_moments_total",
            "Moments in whose sound speech was looked for; text: a caption was made of it",
            outcome=values.SPEECH_OUTCOMES,
        )
        self.cache = counter(
            "cache_requests_total", "Embeddings looked up in the cache", result=values.CACHE_RESULTS
        )
        self.cache_time = histogram(
            "cache_request_duration_seconds",
            "Time of one request to the cache",
            values.CACHE_BUCKETS,
            op=values.CACHE_OPERATIONS,
        )
        self.score = histogram(
            "score",
            "Scores of Moments, 0..1, 1 is most abnormal",
            values.SCORE_BUCKETS,
            expert=values.EXPERTS,
        )
        self.p_value = histogram(
            "p_value",
            "p-values of judged Moments; a share p of usual ones is at most p",
            values.P_VALUE_BUCKETS,
        )
        self.shadow_p_value = histogram(
            "shadow_p_value",
            "p-values of Moments by the bundle in scoring.shadow",
            values.P_VALUE_BUCKETS,
        )
        self.warming_up = counter(
            "warming_up_moments_total",
            "Moments without a score, since too little is known of their source",
        )
        self.drifting = counter(
            "drifting_moments_total", "Moments judged while their source's p-values drift"
        )
        self.modalities = counter(
            "moment_modalities_total",
            "Moments by what they have of a modality",
            modality=MODALITIES,
            state=values.MODALITY_STATES,
        )
        self.alerts = counter(
            "alerts_total", "Alert messages", severity=tuple(Severity), type=values.ALERT_TYPES
        )
        self.shadow_alerts = counter(
            "shadow_alerts_total",
            "Alert messages that scoring.shadow would have given",
            severity=tuple(Severity),
            type=values.ALERT_TYPES,
        )
        self.suppressed = counter(
            "alerts_suppressed_total",
            "Unusual Moments that opened no alert",
            reason=SUPPRESSIONS,
        )
        self.feedback = counter(
            "feedback_total",
            "What people said, by what came of it",
            label=LABELS,
            effect=EFFECTS,
        )
        self.dead_lettered = counter(
            "dead_lettered_total",
            "Records that cannot be accepted",
            topic=topics,
            reason=tuple(Reason),
        )
        self.degraded = gauge(
            "degraded",
            "1 while a component is missed or at its limit",
            component=values.COMPONENTS,
        )
        self.overload = gauge(
            "overload_step",
            "Steps of the overload ladder that are taken; 0 is full effort, 7 captions alone",
        )
        self.active = gauge("sources_active", "Sources that are sending")
        self.stale = gauge("sources_stale", "Sources that have fallen silent")
        self.stopped = gauge(
            "sources_without",
            "Active sources of which nothing comes any more of an awaited modality",
            modality=MODALITIES,
        )
        self.budget = gauge(
            "false_alarm_budget_per_day", "False alarms that one source may have in a day"
        )
        self.buffer_limit = gauge(
            "pairing_buffer_limit_bytes", "Bytes that may wait for their window"
        )
