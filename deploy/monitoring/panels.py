"""What the dashboard shows: rows of panels, each a question with its queries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from deploy.monitoring import recordings as r
from worker.adapters.metric_values import P_VALUE_BUCKETS

JOB = 'job=~"$job"'
EACH = f'{JOB},instance=~"$instance"'
RATE = "$__rate_interval"


@dataclass(frozen=True, slots=True)
class Query:
    """An expression, and how a legend names its series."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `runbook` is the heading under which the runbook says what to do about it.

    `red_above`: from where on the value of a number, or a line, is bad.
    """

    title: str
    kind: Literal["number", "lines", "bars"]
    unit: str
    queries: tuple[Query, ...]
    runbook: str
    description: str
    red_above: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


def rows() -> tuple[Row, ...]:
    """Return all rows, from the question whether something is wrong to where."""
    return (
        Row("Overview", tuple(_overview())),
        Row("Pipeline", tuple(_pipeline())),
        Row("Quality", tuple(_quality())),
        Row("Resources", tuple(_resources())),
    )


def _overview() -> Iterator[Panel]:
    yield Panel(
        "Is it keeping up? Records behind",
        "number",
        "short",
        (Query(f"sum({r.LAG}{{{JOB}}})"),),
        "MmworkerLagWithoutProgress",
        "Records that are not read yet. It never stays at zero while windows are open.",
    )
    yield Panel(
        "Is it keeping up? Moments later than 15 s",
        "number",
        "percentunit",
        (Query(f"max({r.delayed('5m')}{{{JOB}}})"),),
        "MmworkerDelayFast",
        "Share of the Moments of the last 5 minutes that were published more than 15 s after"
        " their end; the objective allows 1%.",
        red_above=1 - r.DELAY_OBJECTIVE,
    )
    yield Panel(
        "Is it right? Records unaccounted for",
        "number",
        "short",
        (Query(f"max(abs({r.UNACCOUNTED}{{{EACH}}}))"),),
        "MmworkerUnaccounted",
        "Consumed less all that has ended in one place or waits: zero.",
        red_above=1,
    )
    yield Panel(
        "Is it right? Dead letters",
        "number",
        "percentunit",
        (Query(f"max({r.DEAD_LETTERS}{{{JOB}}})"),),
        "MmworkerDeadLetters",
        "Share of the records read in the last 5 minutes that cannot be accepted.",
        red_above=0.01,
    )
    yield Panel(
        "Is it healthy? Workers",
        "number",
        "short",
        (Query(f"count(mmworker_build_info{{{JOB}}})"),),
        "MmworkerAbsent",
        "Workers that are scraped.",
    )
    yield Panel(
        "Is it healthy? Components missing",
        "number",
        "short",
        (Query(f"sum(max by (component) (mmworker_degraded{{{EACH}}}))"),),
        "MmworkerDegraded",
        "Components that the workers go on without.",
        red_above=1,
    )
    yield Panel(
        "Delay from event time",
        "lines",
        "s",
        tuple(
            Query(
                _quantile(quantile, "mmworker_event_delay_seconds", "stage"), f"{{{{stage}}}} {p}"
            )
            for quantile, p in ((0.5, "p50"), (0.99, "p99"))
        ),
        "MmworkerDelaySlow",
        "How old events are when they are read, and Moments when they are scored and visible."
        " Exemplars lead to traces.",
        red_above=float(r.DELAY_LIMIT),
    )
    yield Panel(
        "Time since the last poll and commit",
        "lines",
        "s",
        (
            Query(
                f"max(time() - (mmworker_last_poll_timestamp_seconds{{{EACH}}} > 0))", "last poll"
            ),
            Query(
                f"max(time() - (mmworker_last_commit_timestamp_seconds{{{EACH}}} > 0))",
                "last commit",
            ),
        ),
        "MmworkerHangs",
        "Of the worker that is worst off. Without input there is nothing to commit.",
        red_above=60,
    )


def _pipeline() -> Iterator[Panel]:
    yield _rates(
        "Records read", "mmworker_records_consumed_total", "topic", "recps", "MmworkerNoInput"
    )
    yield _rates("Moments", "mmworker_moments_total", "outcome", "eps", "MmworkerSourcesSilent")
    yield _rates("How records end", "mmworker_events_total", "outcome", "eps", "MmworkerLateEvents")
    yield Panel(
        "Lag",
        "lines",
        "short",
        (Query(f"sum by (topic) (mmworker_consumer_lag_records{{{EACH}}})", "{{topic}}"),),
        "MmworkerFallingBehind",
        "Records not read yet, by topic.",
    )
    yield _rates(
        "Time per stage",
        "mmworker_stage_duration_seconds_sum",
        "stage",
        "short",
        "Scale",
        "Seconds of work in a second: a stage near 1 per worker is the bottleneck.",
    )
    yield Panel(
        "Queues",
        "lines",
        "s",
        (Query(_quantile(0.95, "mmworker_queue_wait_seconds", "stage"), "{{stage}} p95"),),
        "Scale",
        "How long a batch waits in front of a stage.",
    )
    yield Panel(
        "Commit",
        "lines",
        "s",
        (
            Query(
                _quantile(
                    0.95, "mmworker_stage_duration_seconds", "stage", 'stage=~"publish|commit"'
                ),
                "{{stage}} p95",
            ),
        ),
        "MmworkerCommitsStalled",
        "Publish, until brokers have the outputs, is the first part of commit.",
    )
    yield _rates(
        "Commits that failed",
        "mmworker_commit_failures_total",
        "reason",
        "cps",
        "MmworkerCommitFailures",
    )
    yield Panel(
        "Waiting for their window",
        "lines",
        "bytes",
        (
            Query(f"sum by (modality) (mmworker_pairing_buffer_bytes{{{EACH}}})", "{{modality}}"),
            Query(f"sum(mmworker_pairing_buffer_limit_bytes{{{EACH}}})", "limit"),
        ),
        "MmworkerBufferFilling",
        "Bytes of records in no output yet. A worker that holds more than its limit stops.",
    )
    yield Panel(
        "Cache hits",
        "lines",
        "percentunit",
        (
            Query(
                f'sum(rate(mmworker_cache_requests_total{{{EACH},result="hit"}}[{RATE}]))'
                f" / sum(rate(mmworker_cache_requests_total{{{EACH}}}[{RATE}]))",
                "hits",
            ),
        ),
        "MmworkerDegraded",
        "Embeddings found in Redis. Live cameras repeat little: replays and restarts gain.",
    )
    yield Panel(
        "Time of cache requests",
        "lines",
        "s",
        (Query(_quantile(0.95, "mmworker_cache_request_duration_seconds", "op"), "{{op}} p95"),),
        "MmworkerDegraded",
        "After three faults in a row Redis is left alone for 5 s at a time.",
    )
    yield _rates("Rebalances", "mmworker_rebalances_total", "event", "cps", "MmworkerRebalancing")


def _quality() -> Iterator[Panel]:
    yield Panel(
        "p-values against uniform",
        "bars",
        "short",
        tuple(
            Query(
                f'sum(rate(mmworker_p_value_bucket{{{EACH},le="{float(bound)}"}}[6h]))'
                f" / sum(rate(mmworker_p_value_count{{{EACH}}}[6h])) / {bound:g}",
                f"p <= {bound:g}",
            )
            for bound in P_VALUE_BUCKETS
        ),
        "MmworkerPValuesDrift",
        "Share of the p-values of 6 hours up to each bound, divided by the bound: 1 everywhere"
        " where nothing unusual happens; more at the left: unusual Moments, or drift.",
        red_above=3,
    )
    yield Panel(
        "Alerts of a day against the budget",
        "lines",
        "short",
        (
            Query(f"sum({r.ALERTS}{{{JOB}}})", "opened"),
            Query(f"sum({r.BUDGET}{{{JOB}}})", "budget for false ones"),
        ),
        "MmworkerAlertsAboveBudget",
        "Alerts opened in a day, true and false ones, and the false ones that were budgeted for.",
    )
    yield _rates(
        "Alert messages",
        "mmworker_alerts_total",
        "severity, type",
        "cps",
        "MmworkerAlertsAboveBudget",
    )
    yield Panel(
        "Modalities missing",
        "lines",
        "percentunit",
        (Query(f"max by (modality) ({r.MISSING}{{{JOB}}})", "{{modality}}"),),
        "MmworkerModalityMissing",
        "Share of Moments with nothing of a modality. That is scored, and no error.",
    )
    yield Panel(
        "Scores",
        "lines",
        "short",
        (Query(_quantile(0.99, "mmworker_score", "expert"), "{{expert}} p99"),),
        "MmworkerPValuesDrift",
        "0..1, 1 is most abnormal, before experts are combined.",
    )
    yield Panel(
        "Sources",
        "lines",
        "short",
        (
            Query(f"sum(mmworker_sources_active{{{EACH}}})", "active"),
            Query(f"sum(mmworker_sources_stale{{{EACH}}})", "silent"),
        ),
        "MmworkerSourcesSilent",
        "Sources that send, and those that have fallen silent.",
    )
    yield _rates(
        "Dead letters",
        "mmworker_dead_lettered_total",
        "topic, reason",
        "cps",
        "MmworkerDeadLetters",
    )


def _resources() -> Iterator[Panel]:
    process = f"and on (job, instance) mmworker_build_info{{{EACH}}}"
    yield Panel(
        "CPU",
        "lines",
        "short",
        (Query(f"rate(process_cpu_seconds_total[{RATE}]) {process}", "{{instance}}"),),
        "Scale",
        "Cores in use.",
    )
    yield Panel(
        "Memory",
        "lines",
        "bytes",
        (Query(f"process_resident_memory_bytes {process}", "{{instance}}"),),
        "Scale",
        "Resident memory.",
    )
    yield Panel(
        "Buffers",
        "lines",
        "percentunit",
        (Query(f"max by (buffer) (mmworker_buffer_fill_ratio{{{EACH}}})", "{{buffer}}"),),
        "Scale",
        "Share of its bound that each buffer holds, of the fullest worker; at 1 partitions pause.",
    )
    yield Panel(
        "Items encoded",
        "lines",
        "eps",
        (
            Query(
                f"sum by (modality, device) (rate(mmworker_encoder_items_total{{{EACH}}}[{RATE}]))",
                "{{modality}} on {{device}}",
            ),
        ),
        "Scale",
        "By the encoders, without what the cache had.",
    )
    yield Panel(
        "Partitions owned",
        "lines",
        "short",
        (Query(f"sum by (instance) (mmworker_assigned_partitions{{{EACH}}})", "{{instance}}"),),
        "Scale",
        "A worker without partitions has nothing to do: there are more workers than partitions.",
    )
    yield Panel(
        "What runs",
        "lines",
        "short",
        (
            Query(
                f"count by (version, revision, device) (mmworker_build_info{{{EACH}}})",
                "{{version}} {{revision}} on {{device}}",
            ),
            Query(
                f"count by (modality, model) (mmworker_model_info{{{EACH}}})",
                "{{modality}}: {{model}}",
            ),
        ),
        "MmworkerModelsDiffer",
        "Workers by version and device, and by model.",
    )
    yield Panel(
        "Restarts",
        "lines",
        "short",
        (Query(f"changes(process_start_time_seconds[1h]) {process}", "{{instance}}"),),
        "MmworkerRestarting",
        "Starts of each worker in an hour, its first one not counted.",
    )


def _rates(
    title: str, counter: str, by: str, unit: str, runbook: str, description: str = ""
) -> Panel:
    legend = " ".join(f"{{{{{label}}}}}" for label in by.split(", "))
    query = Query(f"sum by ({by}) (rate({counter}{{{EACH}}}[{RATE}]))", legend)
    return Panel(title, "lines", unit, (query,), runbook, description or f"Per second, by {by}.")


def _quantile(quantile: float, histogram: str, by: str, where: str = "") -> str:
    selector = f"{EACH},{where}" if where else EACH
    return (
        f"histogram_quantile({quantile},"
        f" sum by (le, {by}) (rate({histogram}_bucket{{{selector}}}[{RATE}])))"
    )
