from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families

from tests.services.require import require_program
from worker.adapters.metric_values import EVENT_OUTCOMES
from worker.adapters.prometheus import RECONCILIATION, Metrics, metrics_table
from worker.core.events import Modality
from worker.core.ports import Telemetry
from worker.errors import Reason

TOPICS = ("frames", "captions", "audio")
HUGE = "x" * 1000


def made() -> Metrics:
    return Metrics(TOPICS)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"mmworker_{name}", labels)


def total(metrics: Metrics, name: str) -> float:
    """The sum over all series of one sample name, as PromQL's sum() has it."""
    return sum(
        sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == name
    )


def used(metrics: Metrics) -> Metrics:
    """Every method called at least once, with listed values."""
    metrics.build("0.1.0", "abc", "2.15", "cpu")
    metrics.model("frame", "efficientnet_lite0", "sha256:12")
    metrics.limits(2, 1024)
    telemetry: Telemetry = metrics
    telemetry.consumed("frames", 3, 3000)
    telemetry.assigned({"frames": 2, "captions": 2, "audio": 2})
    telemetry.lag("frames", 0, 7)
    telemetry.rebalanced("assigned")
    telemetry.polled(100.0)
    telemetry.committed(101.0)
    telemetry.commit_failed("producer_fenced")
    telemetry.events("frame", "paired", 2)
    telemetry.moments("complete", 1)
    telemetry.dead_lettered("frames", Reason.UNDECODABLE_IMAGE, 1)
    telemetry.buffered("frame", 1, 1000)
    telemetry.stage("encode", 0.2)
    telemetry.queue("decode", 1, 0.01)
    telemetry.encoded("frame", "cpu", 4)
    telemetry.encoder_failed("frame", "not_finite")
    telemetry.speech("text")
    telemetry.cache("hit", 2)
    telemetry.cache_time("get", 0.002)
    telemetry.scored("fused", 0.4)
    telemetry.p_value(0.3)
    telemetry.shadow_p_value(0.002)
    telemetry.warming_up()
    telemetry.drifting()
    telemetry.modality("audio", "missing")
    telemetry.alert("high", "open")
    telemetry.shadowed("low", "open")
    telemetry.suppressed("debounce")
    telemetry.heeded("normal", "learned")
    telemetry.delay("scored", 2.5)
    telemetry.watermark_delay(3.0)
    telemetry.filled("merge", 0.5)
    telemetry.degraded("redis", True)
    telemetry.overload(2)
    telemetry.sources(4, 1, {Modality.AUDIO: 1})
    return metrics


def test_what_is_reported_is_what_is_scraped() -> None:
    metrics = used(made())
    assert value(metrics, "records_consumed_total", topic="frames") == 3
    assert value(metrics, "consumed_bytes_total", topic="frames") == 3000
    assert value(metrics, "assigned_partitions", topic="audio") == 2
    assert value(metrics, "consumer_lag_records", topic="frames", partition="0") == 7
    assert value(metrics, "last_poll_timestamp_seconds") == 100
    assert value(metrics, "last_commit_timestamp_seconds") == 101
    assert value(metrics, "events_total", modality="frame", outcome="paired") == 2
    assert value(metrics, "batch_size_sum", modality="frame") == 4
    assert value(metrics, "encoder_items_total", modality="frame", device="cpu") == 4
    assert value(metrics, "cache_request_duration_seconds_count", op="get") == 1
    assert value(metrics, "alerts_total", severity="high", type="open") == 1
    assert value(metrics, "shadow_alerts_total", severity="low", type="open") == 1
    assert value(metrics, "degraded", component="redis") == 1
    assert value(metrics, "overload_step") == 2
    assert value(metrics, "sources_stale") == 1
    assert value(metrics, "commit_failures_total", reason="producer_fenced") == 1
    assert value(metrics, "p_value_bucket", le="0.5") == 1
    assert value(metrics, "shadow_p_value_sum") == 0.002
    assert value(metrics, "moment_modalities_total", modality="audio", state="missing") == 1
    assert value(metrics, "false_alarm_budget_per_day") == 2
    assert value(metrics, "pairing_buffer_limit_bytes") == 1024
    model = {"modality": "frame", "model": "efficientnet_lite0", "digest": "sha256:12"}
    assert value(metrics, "model_info", **model) == 1


@pytest.mark.parametrize("before", [True, False])
def test_the_text_is_well_formed_before_and_after_use(before: bool) -> None:
    metrics = made() if before else used(made())
    text, content_type = metrics.render("")
    families = {family.name for family in text_string_to_metric_families(text.decode())}
    assert content_type.startswith("text/plain; version=0.0.4")
    assert "mmworker_events" in families and "process_resident_memory_bytes" in families
    openmetrics, content_type = metrics.render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    parsed = parse_openmetrics(openmetrics.decode())  # type: ignore[no-untyped-call]  # as it is
    assert {family.name for family in parsed} == families


def test_hostile_accept_headers_get_plain_text() -> None:
    metrics = made()
    for accept in ("\x00", ";;;=", "text/plain; version=\x7f" + HUGE):
        assert metrics.render(accept)[1] == "text/plain; version=0.0.4; charset=utf-8"


def test_promtool_has_nothing_to_say() -> None:
    require_program("promtool")
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=used(made()).render("")[0],
        capture_output=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def test_every_series_with_closed_labels_is_there_before_the_first_event() -> None:
    metrics = made()
    assert value(metrics, "dead_lettered_total", topic="audio", reason="null_key") == 0
    assert value(metrics, "alerts_total", severity="low", type="close") == 0
    assert value(metrics, "event_delay_seconds_count", stage="published") == 0
    assert value(metrics, "degraded", component="redis") == 0


@pytest.mark.parametrize(
    "report",
    [
        lambda m, text: m.consumed(text, 1, 1),
        lambda m, text: m.rebalanced(text),
        lambda m, text: m.commit_failed(text),
        lambda m, text: m.events(text, text, 1),
        lambda m, text: m.moments(text, 1),
        lambda m, text: m.dead_lettered(text, text, 1),
        lambda m, text: m.buffered(text, 1, 1),
        lambda m, text: m.stage(text, 1),
        lambda m, text: m.queue(text, 1, 1),
        lambda m, text: m.encoded(text, text, 1),
        lambda m, text: m.encoder_failed(text, text),
        lambda m, text: m.speech(text),
        lambda m, text: m.cache(text, 1),
        lambda m, text: m.cache_time(text, 1),
        lambda m, text: m.scored(text, 0.5),
        lambda m, text: m.modality(text, text),
        lambda m, text: m.alert(text, text),
        lambda m, text: m.suppressed(text),
        lambda m, text: m.heeded(text, text),
        lambda m, text: m.delay(text, 1),
        lambda m, text: m.degraded(text, True),
        lambda m, text: m.assigned({text: 1}),
        lambda m, text: m.lag(text, 0, 1),
    ],
)
def test_an_unlisted_label_value_is_counted_as_other_and_never_appears(
    report: Callable[[Metrics, str], None],
) -> None:
    metrics = made()
    for number in range(3):
        report(metrics, f"/cameras/{number}{HUGE}")
    text = metrics.render("")[0].decode()
    assert "/cameras" not in text
    assert '"other"' in text


def test_the_number_of_series_is_bounded() -> None:
    lines = used(made()).render("")[0].decode().splitlines()
    assert len([line for line in lines if not line.startswith("#")]) < 1000


def test_a_new_assignment_forgets_the_lag_of_partitions_that_went_away() -> None:
    metrics = made()
    metrics.assigned({"frames": 2})
    metrics.lag("frames", 0, 5)
    metrics.lag("frames", 1, 5)
    metrics.assigned({"frames": 1, "audio": 0})
    metrics.lag("frames", 1, 4)
    assert value(metrics, "consumer_lag_records", topic="frames", partition="0") is None
    assert value(metrics, "consumer_lag_records", topic="frames", partition="1") == 4
    assert value(metrics, "assigned_partitions", topic="frames") == 1


def test_an_event_from_the_future_does_not_lower_the_sum_of_delays() -> None:
    metrics = made()
    metrics.delay("ingest", 4.0)
    metrics.delay("ingest", -9.0)
    assert value(metrics, "event_delay_seconds_sum", stage="ingest") == 4
    assert value(metrics, "event_delay_seconds_count", stage="ingest") == 2


def test_a_delay_points_to_its_trace_in_openmetrics_only() -> None:
    metrics = made()
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    metrics.delay("scored", 2.5, trace_id)
    metrics.delay("ingest", 2.5)
    openmetrics = metrics.render("application/openmetrics-text")[0].decode()
    (line,) = [line for line in openmetrics.splitlines() if " # {" in line]
    assert line.startswith('mmworker_event_delay_seconds_bucket{le="3.0",stage="scored"} 1.0')
    assert f'# {{trace_id="{trace_id}"}} 2.5' in line
    assert trace_id not in metrics.render("text/plain")[0].decode()


def test_a_bound_of_a_bucket_belongs_to_it_and_the_last_reaches_past_the_alert_limits() -> None:
    metrics = made()
    metrics.delay("scored", 300.0)
    metrics.scored("fused", 1.0)
    assert value(metrics, "event_delay_seconds_bucket", stage="scored", le="300.0") == 1
    assert value(metrics, "event_delay_seconds_bucket", stage="scored", le="120.0") == 0
    assert value(metrics, "score_bucket", expert="fused", le="1.0") == 1


def test_every_record_consumed_is_accounted_for() -> None:
    metrics = made()
    metrics.consumed("frames", 8, 0)
    metrics.consumed("captions", 4, 0)
    for outcome in EVENT_OUTCOMES:
        metrics.events("frame", outcome, 1)
    metrics.events("caption", "paired", 3)
    metrics.buffered("frame", 2, 0)
    metrics.buffered("caption", 1, 0)
    left, right = RECONCILIATION.split(" == ")
    assert _evaluated(metrics, left) == _evaluated(metrics, right) == 12


def _evaluated(metrics: Metrics, expression: str) -> float:
    names = re.findall(r"sum\((\w+)\)", expression)
    assert expression == " + ".join(f"sum({name})" for name in names)
    return sum(total(metrics, name) for name in names)


def test_two_registries_do_not_meet() -> None:
    one, other = made(), made()
    one.moments("complete", 1)
    assert value(other, "moments_total", outcome="complete") == 0


def test_the_table_lists_every_metric_once_with_its_labels() -> None:
    table = metrics_table()
    scraped = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in used(made()).registry.collect()
    }
    names = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert sorted(names) == sorted(scraped)
    assert (
        "| `mmworker_events_total` | counter | `modality`, `outcome` |"
        " Records that have ended in their one place |"
    ) in table


def test_names_types_and_labels_are_those_of_the_operations_guide() -> None:
    rows = {
        name: (kind, labels)
        for name, kind, labels in re.findall(
            r"^\| `mmworker_(\w+)` \| (\w+) \| ([^|]*) \|", metrics_table(), re.MULTILINE
        )
    }
    assert rows["consumer_lag_records"] == ("gauge", "`topic`, `partition`")
    assert rows["event_delay_seconds"] == ("histogram", "`stage`")
    assert rows["encoder_failures_total"] == ("counter", "`modality`, `reason`")
    assert rows["cache_request_duration_seconds"] == ("histogram", "`op`")
    assert rows["build_info"] == ("gauge", "`version`, `revision`, `torch`, `device`")


def test_this_file_uses_every_method_of_the_port() -> None:
    methods = {name for name in vars(Telemetry) if not name.startswith("_")}
    text = Path(__file__).read_text(encoding="utf-8")
    assert {name for name in methods if f"telemetry.{name}(" not in text} == set()
