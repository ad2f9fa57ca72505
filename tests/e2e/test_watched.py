"""A real Prometheus watches a worker that reads the plaza: every panel and every rule has data,
and alerts fire while something is wrong and clear afterwards.

The rules are those of the chart at sixty times their pace.
"""

from __future__ import annotations

import json
import math
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import yaml

from deploy.monitoring import runbook
from deploy.monitoring.__main__ import FILES, rules_text
from deploy.monitoring.pace import Pace
from tests.e2e.site import Site, WorkerProcess, running
from tests.services.prometheus import JOB, Prometheus, prometheus
from tests.services.require import require_program
from worker.adapters.kafka.sink import KafkaSink
from worker.config import Config
from worker.core.events import Modality
from worker.demo import scene
from worker.demo.services import LocalKafka, LocalRedis, local_redis
from worker.feed.captions import read as read_captions
from worker.feed.events import to_output
from worker.feed.pace import paced
from worker.runtime.topics import topic_of_modality

pytestmark = [pytest.mark.kafka, pytest.mark.redis, pytest.mark.timeout(420)]

SPEED = 60
PATIENCE = 150.0  # seconds, for anything that has to come about
SETTINGS = {"models.frames_per_moment": 1}  # less to encode: the load is not what is tried here
TRACE = "0af7651916cd43dd8448eb211c80319c"
VARIABLES = {"$job": JOB, "$instance": ".*", "$__rate_interval": "5s"}
SELECTOR = re.compile(r"(?:\b\w+:)?\b(?:mmworker|process)_[\w:]+(?:\{[^}]*\})?")


class Load(threading.Thread):
    """Cameras of the plaza, in real time, over and over. Their frames belong to a trace."""

    def __init__(self, config: Config) -> None:
        super().__init__(daemon=True)
        self._config = config
        self._stopped = threading.Event()
        self.is_poisoned = threading.Event()

    def run(self) -> None:
        sink = KafkaSink(self._config.kafka, max_record_bytes=1 << 20)
        topics, plaza = topic_of_modality(self._config), scene.load()
        try:
            while not self._stopped.is_set():
                events = scene.events(plaza, time.time_ns() // 1000)
                for event in paced(events, 1, time.monotonic, time.sleep):
                    if self._stopped.is_set():
                        break
                    output = to_output(event, topics)
                    trace = ("traceparent", f"00-{TRACE}-b7ad6b7169203331-01".encode())
                    sink.append(replace(output, headers=(*output.headers, trace)))
                    if self.is_poisoned.is_set() and event.modality is Modality.AUDIO:
                        sink.append(replace(output, headers=()))
        finally:
            sink.close()

    def stop(self) -> None:
        self._stopped.set()
        self.join()


@dataclass(frozen=True)
class Watched:
    """A worker under load, and who watches it."""

    worker: WorkerProcess
    server: Prometheus
    redis: LocalRedis
    load: Load
    seen: dict[str, dict[str, Any]] = field(default_factory=dict)  # alerts that fired, by name

    def wait_for(self, condition: Callable[[], object], what: object) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, what
            time.sleep(0.25)

    def await_firing(self, *names: str) -> None:
        def fire() -> bool:
            firing = self.server.firing()
            self.seen.update({name: firing[name] for name in names if name in firing})
            return firing.keys() >= set(names)

        self.wait_for(fire, f"{names} do not all fire")

    def await_clear(self, *names: str) -> None:
        self.wait_for(
            lambda: not self.server.firing().keys() & set(names), f"{names} do not all clear"
        )


@pytest.fixture(scope="module")
def watched(
    kafka_server: LocalKafka, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    require_program("prometheus")
    directory = tmp_path_factory.mktemp("watched")
    with ExitStack() as stack:
        redis = stack.enter_context(local_redis())
        site = Site(kafka_server, directory, {**SETTINGS, "redis.url": redis.url}, partitions=2)
        rules = rules_text(Pace(SPEED))
        server = stack.enter_context(prometheus(site.target, directory, rules))
        worker = stack.enter_context(running(site))
        load = Load(site.config)
        load.start()
        stack.callback(load.stop)
        made = Watched(worker, server, redis, load)
        made.wait_for(lambda: any(server.values("mmworker_p_value_count")), "nothing is judged")
        yield made


def test_every_panel_and_annotation_has_data(watched: Watched) -> None:
    shown = json.loads((FILES / "dashboard.json").read_text())
    asked = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in shown["panels"]
        for target in panel.get("targets", ())
    } | {one["name"]: one["expr"] for one in shown["annotations"]["list"]}
    assert len(asked) > 40
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
    watched: Watched,
) -> None:
    faults = ("MmworkerDegraded", "MmworkerDeadLetters")
    assert not watched.server.firing().keys() & set(faults)
    watched.redis.kill()
    watched.load.is_poisoned.set()
    watched.await_firing(*faults)
    watched.redis.restart()
    watched.load.is_poisoned.clear()
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
