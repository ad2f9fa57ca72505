"""Recording rules: what alerts and panels look at, computed once.

The name of a rule says its labels, its metric, and what was done. `namespace` and `job` tell
installations apart; a Prometheus outside of Kubernetes sets no namespace.
"""

from __future__ import annotations

from collections.abc import Iterator

from deploy.monitoring.pace import Pace
from deploy.monitoring.rules import Recording

DELAY_LIMIT = "15.0"  # seconds; a bound of mmworker_event_delay_seconds
# Moments published within the limit: grace and window take 3 s, a silent source 10 s more.
DELAY_OBJECTIVE = 0.99
USUAL_P_VALUE = "0.05"  # a bound of mmworker_p_value

CONSUMED = "job:mmworker_records_consumed:rate5m"
LAG = "job:mmworker_consumer_lag:records"
CONSUMED_BY_EACH = "job_instance:mmworker_records_consumed:rate5m"
LAG_OF_EACH = "job_instance:mmworker_consumer_lag:records"
UNACCOUNTED = "job_instance:mmworker_records:unaccounted"
DEAD_LETTERS = "job:mmworker_dead_letters:ratio_rate5m"
LATE = "job:mmworker_late_events:ratio_rate5m"
MISSING = "job_modality:mmworker_moments_missing:ratio_rate5m"
SMALL_P_VALUES = "job:mmworker_p_value_small:ratio_rate6h"
ALERTS = "job:mmworker_alerts_opened:increase1d"
BUDGET = "job:mmworker_false_alarm_budget:per_day"
DELAY_WINDOWS = {"5m": 5, "30m": 30, "1h": 60, "6h": 360}  # minutes, by the name of the window


def delayed(window: str) -> str:
    """Return the name of the share of Moments that were published after the limit."""
    return f"job:mmworker_moments_delayed:ratio_rate{window}"


def recordings(pace: Pace) -> Iterator[Recording]:
    """Yield all recording rules."""
    yield Recording(CONSUMED, _rate("mmworker_records_consumed_total", pace, 5))
    yield Recording(LAG, "sum by (namespace, job) (mmworker_consumer_lag_records)")
    each = "namespace, job, instance"
    yield Recording(CONSUMED_BY_EACH, _rate("mmworker_records_consumed_total", pace, 5, each))
    yield Recording(LAG_OF_EACH, f"sum by ({each}) (mmworker_consumer_lag_records)")
    yield Recording(UNACCOUNTED, _unaccounted())
    yield Recording(DEAD_LETTERS, _of_consumed("mmworker_dead_lettered_total", pace))
    yield Recording(LATE, _of_consumed('mmworker_events_total{outcome="late"}', pace))
    yield Recording(MISSING, _missing(pace))
    for window, minutes in DELAY_WINDOWS.items():
        yield Recording(delayed(window), _delayed(pace, minutes))
    yield Recording(SMALL_P_VALUES, _small_p_values(pace))
    opened = 'mmworker_alerts_total{type="open"}'
    yield Recording(ALERTS, f"sum by (namespace, job) (increase({opened}[{pace.span(1440)}]))")
    yield Recording(
        BUDGET,
        "sum by (namespace, job) (mmworker_sources_active * mmworker_false_alarm_budget_per_day)",
    )


def _rate(selector: str, pace: Pace, minutes: float, by: str = "namespace, job") -> str:
    return f"sum by ({by}) (rate({selector}[{pace.span(minutes)}]))"


def _of_consumed(selector: str, pace: Pace) -> str:
    return f"{_rate(selector, pace, 5)} / ({CONSUMED} > 0)"


def _unaccounted() -> str:
    """Consumed less all that has ended or waits: 0, by the reconciliation identity."""
    consumed, ended, waiting = (
        f"sum by (namespace, job, instance) ({metric})"
        for metric in (
            "mmworker_records_consumed_total",
            "mmworker_events_total",
            "mmworker_pairing_buffer_entries",
        )
    )
    return f"{consumed} - {ended} - {waiting}"


def _missing(pace: Pace) -> str:
    by = "namespace, job, modality"
    missing = _rate('mmworker_moment_modalities_total{state="missing"}', pace, 5, by)
    return f"{missing} / {_rate('mmworker_moment_modalities_total', pace, 5, by)}"


def _delayed(pace: Pace, minutes: float) -> str:
    name, published = "mmworker_event_delay_seconds", 'stage="published"'
    within = _rate(f'{name}_bucket{{{published},le="{DELAY_LIMIT}"}}', pace, minutes)
    return f"1 - {within} / {_rate(f'{name}_count{{{published}}}', pace, minutes)}"


def _small_p_values(pace: Pace) -> str:
    small = _rate(f'mmworker_p_value_bucket{{le="{USUAL_P_VALUE}"}}', pace, 360)
    return f"{small} / {_rate('mmworker_p_value_count', pace, 360)}"
