"""Alert rules. Each has a section of its own name in the runbook and two unit tests."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.monitoring import recordings as r
from deploy.monitoring.pace import Pace
from deploy.monitoring.rules import Alert, Severity

_ALLOWED = 1 - r.DELAY_OBJECTIVE


def alerts(pace: Pace) -> Iterator[Alert]:
    """Yield all alert rules, the most urgent of each group first."""
    yield from _alive(pace)
    yield from _keeping_up(pace)
    yield from _right(pace)
    yield from _quality(pace)


def _alive(pace: Pace) -> Iterator[Alert]:
    yield Alert(
        "MmworkerAbsent",
        "critical",
        "absent(mmworker_build_info)",
        pace.span(5),
        "No worker is scraped: nothing reads the input topics, or nothing scrapes the workers",
    )
    polled = "mmworker_last_poll_timestamp_seconds"
    yield Alert(
        "MmworkerHangs",
        "critical",
        f"time() - {polled} > {pace.seconds(60)} and {polled} > 0",
        pace.span(1),
        "{{ $labels.instance }} has not polled for {{ $value | humanizeDuration }}",
    )
    yield Alert(
        "MmworkerNotStarted",
        "warning",
        f"{polled} == 0",
        pace.span(10),
        "{{ $labels.instance }} is up and does not read: it cannot load models or reach Kafka",
    )
    # In a crash loop a process is scraped for seconds, then not for minutes: ask for what was.
    starts = f"changes(process_start_time_seconds[{pace.span(30)}])"
    seen = f"max_over_time({polled}[{pace.span(15)}])"
    restarting = f"{starts} > 2 and on (namespace, job, instance) {seen}"
    yield Alert(
        "MmworkerCrashLoop",
        "critical",
        f"count by (namespace, job) ({restarting}) / count by (namespace, job) ({seen}) > 0.5",
        pace.span(5),
        "{{ $value | humanizePercentage }} of the workers of {{ $labels.job }} start again and"
        " again",
    )
    yield Alert(
        "MmworkerRestarting",
        "warning",
        restarting,
        pace.span(1),
        "{{ $labels.instance }} has started again {{ $value }} times in half an hour",
    )
    rebalances = "mmworker_rebalances_total"
    yield Alert(
        "MmworkerRebalancing",
        "warning",
        f"sum by (namespace, job, instance) (increase({rebalances}[{pace.span(15)}])) > 6",
        pace.span(5),
        "{{ $labels.instance }} has lost and got partitions {{ $value | humanize }} times in 15"
        " minutes",
    )
    yield Alert(
        "MmworkerModelsDiffer",
        "warning",
        "count by (namespace, job, modality)"
        " (count by (namespace, job, modality, digest) (mmworker_model_info)) > 1",
        pace.span(30),
        "The workers of {{ $labels.job }} use {{ $value }} different {{ $labels.modality }} models",
    )


def _keeping_up(pace: Pace) -> Iterator[Alert]:
    yield Alert(
        "MmworkerLagWithoutProgress",
        "critical",
        f"{r.LAG_OF_EACH} > 0 and {r.CONSUMED_BY_EACH} == 0",
        pace.span(5),
        "{{ $value | humanize }} records wait for {{ $labels.instance }}, which reads none",
    )
    committed = "mmworker_last_commit_timestamp_seconds"
    yield Alert(
        "MmworkerCommitsStalled",
        "critical",
        f"time() - {committed} > {pace.seconds(120)}"
        f" and on (namespace, job, instance) {r.CONSUMED_BY_EACH} > 0",
        pace.span(2),
        "{{ $labels.instance }} reads and has committed nothing for two minutes or more",
    )
    yield _burn(pace, "MmworkerDelayFast", "critical", ("1h", "5m"), factor=14.4, hold=2)
    yield _burn(pace, "MmworkerDelaySlow", "warning", ("6h", "30m"), factor=6, hold=15)
    yield Alert(
        "MmworkerFallingBehind",
        "warning",
        f"{r.LAG_OF_EACH} > {pace.seconds(60)} * {r.CONSUMED_BY_EACH}"
        f" and delta({r.LAG_OF_EACH}[{pace.span(10)}]) > 0",
        pace.span(10),
        "{{ $labels.instance }} is more than a minute behind and its lag grows:"
        " {{ $value | humanize }} records",
    )
    failures = "mmworker_commit_failures_total"
    yield Alert(
        "MmworkerCommitFailures",
        "warning",
        f"sum by (namespace, job, reason) (increase({failures}[{pace.span(15)}])) > 3",
        pace.span(1),
        "Commits of {{ $labels.job }} fail: {{ $labels.reason }}",
    )
    yield Alert(
        "MmworkerBufferFilling",
        "warning",
        "sum by (namespace, job, instance) (mmworker_pairing_buffer_bytes)"
        " > 0.8 * sum by (namespace, job, instance) (mmworker_pairing_buffer_limit_bytes)",
        pace.span(5),
        "{{ $labels.instance }} holds {{ $value | humanize1024 }}B for open windows and stops at"
        " its limit",
    )


def _burn(
    pace: Pace, name: str, severity: Severity, windows: tuple[str, str], factor: float, hold: float
) -> Alert:
    """Return a burn-rate alert: the budget of late Moments is used up `factor` times too fast."""
    limit = f"{factor * _ALLOWED:g}"
    long, short = windows
    return Alert(
        name,
        severity,
        f"{r.delayed(long)} > {limit} and {r.delayed(short)} > {limit}",
        pace.span(hold),
        f"{{{{ $value | humanizePercentage }}}} of the Moments of {{{{ $labels.job }}}} were"
        f" published more than 15 s after their end, over {long}",
    )


def _right(pace: Pace) -> Iterator[Alert]:
    yield Alert(
        "MmworkerUnaccounted",
        "critical",
        f"{r.UNACCOUNTED} != 0",
        pace.span(5),
        "{{ $value }} records of {{ $labels.instance }} are in no output, no buffer and no count",
    )
    yield Alert(
        "MmworkerDeadLetters",
        "warning",
        f"{r.DEAD_LETTERS} > 0.01",
        pace.span(5),
        "{{ $value | humanizePercentage }} of the records that {{ $labels.job }} reads cannot be"
        " accepted",
    )
    yield Alert(
        "MmworkerLateEvents",
        "warning",
        f"{r.LATE} > 0.05",
        pace.span(10),
        "{{ $value | humanizePercentage }} of the records that {{ $labels.job }} reads are late",
    )
    yield Alert(
        "MmworkerDegraded",
        "warning",
        "max by (namespace, job, component) (mmworker_degraded) > 0",
        pace.span(5),
        "{{ $labels.component }} of {{ $labels.job }} is missed or at its limit",
    )


def _quality(pace: Pace) -> Iterator[Alert]:
    yield Alert(
        "MmworkerNoInput",
        "warning",
        f"{r.CONSUMED} == 0 and {r.LAG} == 0",
        pace.span(15),
        "Nothing was written to the input topics of {{ $labels.job }}",
    )
    stale = "sum by (namespace, job) (mmworker_sources_stale)"
    yield Alert(
        "MmworkerSourcesSilent",
        "warning",
        f"{stale} / ({stale} + sum by (namespace, job) (mmworker_sources_active) > 0) > 0.5",
        pace.span(15),
        "{{ $value | humanizePercentage }} of the sources of {{ $labels.job }} are silent",
    )
    yield Alert(
        "MmworkerModalityMissing",
        "warning",
        f"{r.MISSING} > 0.5 and {r.MISSING} offset {pace.span(60)} < 0.1",
        pace.span(10),
        "{{ $value | humanizePercentage }} of the Moments of {{ $labels.job }} have no"
        " {{ $labels.modality }}; an hour ago most had",
    )
    judged = f"sum by (namespace, job) (increase(mmworker_p_value_count[{pace.span(360)}]))"
    yield Alert(
        "MmworkerPValuesDrift",
        "warning",
        f"{r.SMALL_P_VALUES} > 0.15 and {judged} > 1000",
        pace.span(60),
        "{{ $value | humanizePercentage }} of the p-values of {{ $labels.job }} are at most 0.05",
    )
    yield Alert(
        "MmworkerAlertsAboveBudget",
        "info",
        f"{r.ALERTS} > 5 + 3 * {r.BUDGET}",
        pace.span(30),
        "{{ $labels.job }} has opened {{ $value | humanize }} alerts in a day, more than three"
        " times the budget",
    )
