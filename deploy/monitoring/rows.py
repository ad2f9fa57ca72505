"""The rows of the dashboard: from the question whether something is wrong to where it is."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.monitoring import recordings as r
from deploy.monitoring.panels import (
    RATE,
    Panel,
    Row,
    lines,
    number,
    of_each,
    of_job,
    quantile,
    rates,
    summed,
)
from worker.adapters.metric_values import P_VALUE_BUCKETS


def rows() -> tuple[Row, ...]:
    """Return all rows."""
    return (
        Row("Overview", tuple(_overview())),
        Row("Pipeline", tuple(_pipeline())),
        Row("Quality", tuple(_quality())),
        Row("Resources", tuple(_resources())),
    )


def _overview() -> Iterator[Panel]:
    yield number(
        "Is it keeping up? Records behind",
        "short",
        f"sum({of_job(r.LAG)})",
        "MmworkerLagWithoutProgress",
        "Records that are not read yet. At zero all was read; windows may be open.",
    )
    yield number(
        "Is it keeping up? Moments later than 15 s",
        "percentunit",
        f"max({of_job(r.delayed('5m'))})",
        "MmworkerDelayFast",
        "Share of the Moments of the last 5 minutes that were published more than 15 s after"
        " their end; the objective allows 1%.",
        red_above=1 - r.DELAY_OBJECTIVE,
    )
    yield number(
        "Is it right? Records unaccounted for",
        "short",
        f"max(abs({of_each(r.UNACCOUNTED)}))",
        "MmworkerUnaccounted",
        "Consumed less all that has ended in one place or waits: zero.",
        red_above=1,
    )
    yield number(
        "Is it right? Dead letters",
        "percentunit",
        f"max({of_job(r.DEAD_LETTERS)})",
        "MmworkerDeadLetters",
        "Share of the records read in the last 5 minutes that cannot be accepted.",
        red_above=0.01,
    )
    yield number(
        "Is it healthy? Workers",
        "short",
        f"count({of_job('mmworker_build_info')})",
        "MmworkerAbsent",
        "Workers scraped.",
    )
    yield number(
        "Is it healthy? Components degraded",
        "short",
        f"sum(max by (component) ({of_each('mmworker_degraded')}))",
        "MmworkerDegraded",
        "Components that a worker goes on without, or that are at their limit.",
        red_above=1,
    )
    delay = "mmworker_event_delay_seconds"
    yield lines(
        "Delay from event time",
        "s",
        {
            "{{stage}} p50": quantile(0.5, delay, "stage"),
            "{{stage}} p99": quantile(0.99, delay, "stage"),
        },
        "MmworkerDelaySlow",
        "How old events are when they are read, and Moments when they are scored and visible."
        " Exemplars lead to traces.",
        red_above=float(r.DELAY_LIMIT),
    )
    polled = of_each("mmworker_last_poll_timestamp_seconds")
    committed = of_each("mmworker_last_commit_timestamp_seconds")
    yield lines(
        "Time since the last poll and commit",
        "s",
        {
            "last poll": f"max(time() - ({polled} > 0))",
            "last commit": f"max(time() - ({committed} > 0))",
        },
        "MmworkerHangs",
        "Of the worker that is worst off. Without input there is nothing to commit.",
        red_above=60,
    )


def _pipeline() -> Iterator[Panel]:
    yield rates(
        "Records read", "mmworker_records_consumed_total", "topic", "MmworkerNoInput", unit="recps"
    )
    yield rates("Moments", "mmworker_moments_total", "outcome", "MmworkerSourcesSilent", unit="eps")
    yield rates(
        "How records end", "mmworker_events_total", "outcome", "MmworkerLateEvents", unit="eps"
    )
    yield lines(
        "Lag",
        "short",
        {"{{topic}}": summed("mmworker_consumer_lag_records", "topic")},
        "MmworkerFallingBehind",
        "Records not read yet, by topic.",
    )
    yield rates(
        "Time per stage",
        "mmworker_stage_duration_seconds_sum",
        "stage",
        "Scale",
        unit="short",
        description="Seconds of work in a second: a stage near 1 per worker is the bottleneck.",
    )
    yield lines(
        "Queues",
        "s",
        {"{{stage}} p95": quantile(0.95, "mmworker_queue_wait_seconds", "stage")},
        "Scale",
        "How long a batch waits in front of a stage.",
    )
    commit = 'stage=~"publish|commit"'
    yield lines(
        "Commit",
        "s",
        {"{{stage}} p95": quantile(0.95, "mmworker_stage_duration_seconds", "stage", commit)},
        "MmworkerCommitsStalled",
        "Publish, until brokers have the outputs, is the first part of commit.",
    )
    yield rates(
        "Commits that failed", "mmworker_commit_failures_total", "reason", "MmworkerCommitFailures"
    )
    yield lines(
        "Waiting for their window",
        "bytes",
        {
            "{{modality}}": summed("mmworker_pairing_buffer_bytes", "modality"),
            "limit": f"sum({of_each('mmworker_pairing_buffer_limit_bytes')})",
        },
        "MmworkerBufferFilling",
        "Bytes of records in no output yet. A worker that holds more than its limit stops.",
    )
    yield lines(
        "Overload steps",
        "short",
        {"steps": f"max({of_each('mmworker_overload_step')})"},
        "MmworkerDegraded",
        "0: all of each Moment is worked on. 4: no picture is encoded, 6: half of the sound is,"
        " 7: captions alone are.",
    )
    asked = "mmworker_cache_requests_total"
    hits = of_each(asked, 'result=~"hit|near"')
    yield lines(
        "Cache hits",
        "percentunit",
        {"hits": f"sum(rate({hits}[{RATE}])) / sum(rate({of_each(asked)}[{RATE}]))"},
        "MmworkerDegraded",
        "Embeddings found in the process or in Redis. Live cameras repeat little: replays gain.",
    )
    yield lines(
        "Time of cache requests",
        "s",
        {"{{op}} p95": quantile(0.95, "mmworker_cache_request_duration_seconds", "op")},
        "MmworkerDegraded",
        "After three faults in a row Redis is left alone for 5 s at a time.",
    )
    yield rates("Rebalances", "mmworker_rebalances_total", "event", "MmworkerRebalancing")


def _against_uniform(title: str, p_values: str) -> Panel:
    judged = f"sum(rate({of_each(f'{p_values}_count')}[6h]))"
    buckets = {
        bound: of_each(f"{p_values}_bucket", f'le="{float(bound)}"') for bound in P_VALUE_BUCKETS
    }
    return Panel(
        title,
        "bars",
        "short",
        {
            f"p <= {bound:g}": f"sum(rate({bucket}[6h])) / {judged} / {bound:g}"
            for bound, bucket in buckets.items()
        },
        "MmworkerPValuesDrift",
        "Share of the p-values of 6 hours up to each bound, divided by the bound: 1 everywhere"
        " where nothing unusual happens; more at the left: unusual Moments, or drift.",
        red_above=3,
    )


def _quality() -> Iterator[Panel]:
    yield _against_uniform("p-values against uniform", "mmworker_p_value")
    yield lines(
        "Alerts of a day against the budget",
        "short",
        {"opened": f"sum({of_job(r.ALERTS)})", "budget for false ones": f"sum({of_job(r.BUDGET)})"},
        "MmworkerAlertsAboveBudget",
        "Alerts opened in a day, true and false ones, and the false ones that were budgeted for.",
    )
    yield rates(
        "Alert messages", "mmworker_alerts_total", "severity, type", "MmworkerAlertsAboveBudget"
    )
    yield rates(
        "Alert messages that scoring.shadow would give",
        "mmworker_shadow_alerts_total",
        "severity, type",
        "MmworkerAlertsAboveBudget",
    )
    yield _against_uniform("p-values in shadow against uniform", "mmworker_shadow_p_value")
    yield lines(
        "Modalities missing",
        "percentunit",
        {"{{modality}}": f"max by (modality) ({of_job(r.MISSING)})"},
        "MmworkerModalityMissing",
        "Share of Moments with nothing of a modality. That is scored, and no error.",
    )
    yield lines(
        "Scores",
        "short",
        {"{{expert}} p99": quantile(0.99, "mmworker_score", "expert")},
        "MmworkerPValuesDrift",
        "0..1, 1 is most abnormal, before experts are combined.",
    )
    judged_now = of_each("mmworker_p_value_count")
    drifting = of_each("mmworker_drifting_moments_total")
    warming = of_each("mmworker_warming_up_moments_total")
    yield lines(
        "Drift and warm-up",
        "percentunit",
        {
            "Moments of drifting sources": (
                f"sum(rate({drifting}[{RATE}])) / sum(rate({judged_now}[{RATE}]))"
            ),
            "p-values at most 0.05, 6 h": f"max({of_job(r.SMALL_P_VALUES)})",
            "Moments of sources that warm up": (
                f"sum(rate({warming}[{RATE}])) / sum(rate({judged_now}[{RATE}]) +"
                f" rate({warming}[{RATE}]))"
            ),
        },
        "MmworkerPValuesDrift",
        "Share of the judged Moments whose source is flagged (`assessment.drifting`): its p-values"
        " stay small. Beside it the share that the alert looks at, 5% is usual, and that of all"
        " Moments which are not judged yet, since too little is known of their source.",
        red_above=0.15,
    )
    yield lines(
        "Sources",
        "short",
        {
            "active": f"sum({of_each('mmworker_sources_active')})",
            "silent": f"sum({of_each('mmworker_sources_stale')})",
            "without {{modality}}": (
                f"sum by (modality) ({of_each('mmworker_sources_without')}) > 0"
            ),
        },
        "MmworkerSourcesSilent",
        "Sources that send, those that have fallen silent, and those that send but have stopped to"
        " send a modality that is awaited, as with a broken microphone.",
    )
    yield rates(
        "Dead letters", "mmworker_dead_lettered_total", "topic, reason", "MmworkerDeadLetters"
    )


def _resources() -> Iterator[Panel]:
    of_workers = f"and on (namespace, job, instance) {of_each('mmworker_build_info')}"
    yield lines(
        "CPU",
        "short",
        {"{{instance}}": f"rate(process_cpu_seconds_total[{RATE}]) {of_workers}"},
        "Scale",
        "Cores in use.",
    )
    yield lines(
        "Memory",
        "bytes",
        {"{{instance}}": f"process_resident_memory_bytes {of_workers}"},
        "Scale",
        "Resident memory.",
    )
    yield lines(
        "Buffers",
        "percentunit",
        {"{{buffer}}": f"max by (buffer) ({of_each('mmworker_buffer_fill_ratio')})"},
        "Scale",
        "Share of its bound that each buffer holds, of the fullest worker; at 1 partitions pause.",
    )
    yield rates(
        "Items encoded",
        "mmworker_encoder_items_total",
        "modality, device",
        "Scale",
        unit="eps",
        description="By the encoders, without what the cache had.",
    )
    yield lines(
        "Partitions owned",
        "short",
        {"{{instance}}": summed("mmworker_assigned_partitions", "instance")},
        "Scale",
        "A worker without partitions has nothing to do.",
    )
    builds, models = of_each("mmworker_build_info"), of_each("mmworker_model_info")
    yield lines(
        "What runs",
        "short",
        {
            "{{version}} {{revision}} on {{device}}": (
                f"count by (version, revision, device) ({builds})"
            ),
            "{{modality}}: {{model}}": f"count by (modality, model) ({models})",
        },
        "MmworkerModelsDiffer",
        "Workers by version and device, and by model.",
    )
    yield lines(
        "Restarts",
        "short",
        {"{{instance}}": f"changes(process_start_time_seconds[1h]) {of_workers}"},
        "MmworkerRestarting",
        "Starts of each worker in an hour, its first one not counted.",
    )
