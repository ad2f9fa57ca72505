"""A real Prometheus watches a worker that reads the plaza: every panel and every rule has data,
and alerts fire while something is wrong and clear afterwards.

The rules are those of the chart at sixty times their pace. `make faults` tries more of them.
"""

from __future__ import annotations

import json
import math
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from deploy.monitoring import runbook
from deploy.monitoring.__main__ import FILES
from tests.e2e.site import running
from tests.services.prometheus import JOB
from tests.services.require import require_program
from tests.watching.load import TRACE, Load
from tests.watching.watched import Watched, watch
from worker.demo import scene
from worker.demo.services import LocalKafka
from worker.feed.captions import read as read_captions

pytestmark = [pytest.mark.kafka, pytest.mark.redis, pytest.mark.timeout(420)]

VARIABLES = {"$job": JOB, "$instance": ".*", "$__rate_interval": "5s"}
SELECTOR = re.compile(r"(?:\b\w+:)?\b(?:mmworker|process)_[\w:]+(?:\{[^}]*\})?")


@pytest.fixture(scope="module")
def load() -> Iterator[Load]:
    load = Load()
    yield load
    load.stop()


@pytest.fixture(scope="module")
def watched(
    kafka_server: LocalKafka, tmp_path_factory: pytest.TempPathFactory, load: Load
) -> Iterator[Watched]:
    require_program("prometheus")
    with watch(kafka_server, tmp_path_factory.mktemp("watched")) as watched:
        load.begin(watched.site.config)
        watched.await_judged()
        yield watched


def test_every_panel_and_annotation_has_data(watched: Watched, tmp_path: Path) -> None:
    """But for the p-values of a bundle in shadow: none is tried here, and no share of none is."""
    shown = json.loads((FILES / "dashboard.json").read_text())
    asked = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in shown["panels"]
        for target in panel.get("targets", ())
        if "mmworker_shadow_p_value" not in target["expr"]
    } | {one["name"]: one["expr"] for one in shown["annotations"]["list"]}
    assert len(asked) > 40
    with running(watched.site.beside(tmp_path)):  # partitions go over to it
        await_data(watched, {name: with_values(expr) for name, expr in asked.items()})


def test_every_rule_is_healthy_and_all_that_it_looks_at_has_data(watched: Watched) -> None:
    rules = [rule for group in watched.server.asked("rules") for rule in group["rules"]]
    expected = yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"]
    assert len(rules) == sum(len(group["rules"]) for group in expected)
    assert [rule for rule in rules if rule["health"] != "ok"] == []
    selectors = {each for rule in rules for each in SELECTOR.findall(rule["query"])}
    recorded = {rule["name"] for rule in rules if rule["type"] == "recording"}
    await_data(watched, {each: each for each in selectors | recorded})


def test_delays_lead_to_traces(watched: Watched) -> None:
    now = time.time()
    found = watched.server.asked(
        "query_exemplars",
        query='mmworker_event_delay_seconds_bucket{stage="published"}',
        start=str(now - 600),
        end=str(now),
    )
    traces = {one["labels"]["trace_id"] for series in found for one in series["exemplars"]}
    assert traces == {TRACE}


def test_alerts_fire_while_redis_is_away_and_records_are_bad_and_clear_afterwards(
    watched: Watched, load: Load
) -> None:
    faults = ("MmworkerDegraded", "MmworkerDeadLetters")
    assert not watched.server.firing().keys() & set(faults)
    watched.redis.kill()
    load.is_poisoned.set()
    watched.await_firing(*faults)
    watched.redis.restart()
    load.is_poisoned.clear()
    watched.await_clear(*faults)


def test_an_alert_fires_while_the_worker_is_stopped_and_clears_afterwards(
    watched: Watched,
) -> None:
    assert "MmworkerAbsent" not in watched.server.firing()
    watched.worker.signal(signal.SIGSTOP)
    watched.await_firing("MmworkerAbsent")
    watched.worker.signal(signal.SIGCONT)
    watched.await_clear("MmworkerAbsent")


def test_what_fired_says_what_it_is_and_where_to_read_on(watched: Watched) -> None:
    assert watched.seen.keys() == {"MmworkerDegraded", "MmworkerDeadLetters", "MmworkerAbsent"}
    for name, alert in watched.seen.items():
        summary = alert["annotations"]["summary"]
        assert "{{" not in summary and "error" not in summary and "no value" not in summary
        assert alert["annotations"]["runbook_url"] == runbook.link(name)
    assert watched.seen["MmworkerDegraded"]["annotations"]["summary"] == (
        f"redis of {JOB} is missed or at its limit"
    )


def test_the_log_is_json_and_names_no_source_and_no_text(watched: Watched) -> None:
    lines = [json.loads(line) for line in watched.worker.log.splitlines()]
    assert {"partitions changed", "redis_left_alone", "redis_back", "dead letters"} <= {
        line["event"] for line in lines
    }
    plaza = scene.load()
    captions = {caption.text for caption in read_captions(plaza.directory / plaza.captions)}
    for secret in (*(camera.source for camera in plaza.cameras), *captions, TRACE):
        assert secret not in watched.worker.log


def with_values(expr: str) -> str:
    """Return the expression of a panel as Grafana would send it."""
    for variable, value in VARIABLES.items():
        expr = expr.replace(variable, value)
    return expr


def await_data(watched: Watched, asked: dict[str, str]) -> None:
    """Wait until each has had a number at least once."""
    empty = dict(asked)

    def seen() -> bool:
        for name, expr in list(empty.items()):
            if not all(map(math.isnan, watched.server.values(expr))):
                del empty[name]
        return not empty

    watched.wait_for(seen, empty)  # what is left has no data
