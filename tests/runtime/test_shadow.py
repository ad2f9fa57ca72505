"""Rules that are tried: their decisions are on record, and nothing comes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.runtime.builders import config, footage, in_time_order
from tests.runtime.test_shard import Desk
from worker.cli.app import app
from worker.core.messages import Alert, Observation, read_alert, read_observation, to_json
from worker.errors import OperatorError
from worker.report.build import Media, Run, build_report
from worker.runtime.policies import alert_policies, shadow_policies

NO_SOUND = np.zeros(0, np.float32)
LOUD = {"scoring__calibration_moments": 20, "scoring__false_alarms_per_day": 20_000}


def judged(**changes: Any) -> tuple[list[Observation], list[Alert]]:
    desk = Desk(**{**LOUD, **changes})
    desk.read(in_time_order(footage(60, captions=False), footage(60, "/cameras/b", captions=False)))
    desk.settled()
    outputs = desk.unit().outputs
    return (
        [read_observation(o.value or b"") for o in outputs if o.topic == "observations"],
        [read_alert(o.value or b"") for o in outputs if o.topic == "alerts"],
    )


def test_a_shadow_alone_alerts_nobody_and_is_on_record() -> None:
    observations, alerts = judged(
        scoring__false_alarms_per_day=0, scoring__shadow={"false_alarms_per_day": 20_000}
    )
    assert alerts == []
    assert {each.decision.kind for each in observations} == {"none"}
    assert "open" in {each.shadow.decision.kind for each in observations if each.shadow is not None}


def test_a_shadow_with_the_same_rules_decides_the_same_and_changes_nothing() -> None:
    plain, alerts = judged()
    observations, same = judged(scoring__shadow={"false_alarms_per_day": 20_000})
    assert alerts and [each.alert_id for each in same] == [each.alert_id for each in alerts]
    assert [each.decision for each in observations] == [each.decision for each in plain]
    tried = [each.shadow.decision for each in observations if each.shadow is not None]
    assert tried == [each.decision for each in plain]
    assert {each.shadow for each in plain} == {None}


def test_a_false_discovery_rate_can_be_tried_and_holds_alerts_back() -> None:
    observations, alerts = judged(scoring__shadow={"false_discovery_rate": 1e-6})
    tried = [each.shadow.decision.kind for each in observations if each.shadow is not None]
    assert alerts and "open" not in tried
    plain, _ = judged()
    assert [each.decision for each in observations] == [each.decision for each in plain]


def test_a_false_discovery_rate_in_force_holds_alerts_back() -> None:
    assert judged()[1]
    assert judged(scoring__false_discovery_rate=1e-6)[1] == []


def test_a_report_says_what_came_of_it() -> None:
    found, alerts = judged(scoring__shadow={"false_alarms_per_day": 0})
    lost = sum(each.type == "open" for each in alerts)
    assert told_of(found) == (
        f"0 alerts would have been sent (0 gained, {lost} lost, 0 moved, 0 changed, 0 same)"
    )
    assert told_of(judged()[0]) is None


def told_of(observations: list[Observation]) -> str | None:
    run = Run(tuple(observations), (), alert_policies(config(**LOUD)), 1, {}, {}, {})
    heading = dict.fromkeys(("title", "subtitle", "backend"), "")
    return build_report(run, [], Media({}, lambda _: NO_SOUND), heading, 0).tried


def test_what_was_in_shadow_can_be_compared_with_what_was_sent(tmp_path: Path) -> None:
    found, alerts = judged(scoring__shadow={"false_alarms_per_day": 0})
    (tmp_path / "observations.jsonl").write_bytes(b"\n".join(map(to_json, found)))
    command = ["replay", "--observations", str(tmp_path / "observations.jsonl"), "--json"]
    told = json.loads(CliRunner().invoke(app, command).stdout)
    opened = sum(each.type == "open" for each in alerts)
    assert (told["before"]["alerts"], told["after"]["alerts"]) == (opened, 0)
    assert told["counts"]["lost"] == opened > 0
    assert told["observations"] == len(found)


def test_without_a_shadow_there_is_nothing_to_compare(tmp_path: Path) -> None:
    found, _ = judged()
    (tmp_path / "observations.jsonl").write_bytes(b"\n".join(map(to_json, found)))
    command = ["replay", "--observations", str(tmp_path / "observations.jsonl")]
    with pytest.raises(OperatorError, match=r"set scoring\.shadow"):
        CliRunner().invoke(app, command, catch_exceptions=False)


def test_what_a_shadow_leaves_out_is_as_in_the_real_rules() -> None:
    real = {"match": "/cameras/a", "mute": True}
    assert shadow_policies(config(scoring__sources=[real])) is None
    policies = shadow_policies(
        config(scoring__sources=[real], scoring__shadow={"cooldown_seconds": 7})
    )
    assert policies is not None
    assert policies.of("/cameras/a").quiet.muted
    assert policies.usual.cooldown == 7_000_000


@pytest.mark.parametrize("neighbours", [[], [["/cameras/*"]]])
def test_alerts_of_neighbours_share_an_incident(neighbours: list[list[str]]) -> None:
    observations, alerts = judged(scoring__neighbours=neighbours, scoring__incident_seconds=3600)
    assert {each.source for each in alerts} == {"/cameras/a", "/cameras/b"}
    incidents = {each.incident_id for each in alerts}
    assert incidents == ({alerts[0].alert_id} if neighbours else {None})
    told = {each.decision.incident_id for each in observations if each.decision.kind != "none"}
    assert told == incidents
    assert {e.decision.incident_id for e in observations if e.decision.kind == "none"} == {None}
