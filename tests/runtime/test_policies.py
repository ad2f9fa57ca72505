"""From settings to the alert policy of each source, and what the worker does with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.runtime.builders import config, footage
from tests.runtime.test_shard import Desk
from worker.core import rfc3339
from worker.core.messages import Alert, read_alert
from worker.core.rfc3339 import seconds
from worker.runtime.policies import alert_policies

GATE = {
    "match": "/cameras/gate*",
    "false_alarms_per_day": 0.5,
    "schedule": "22:00-06:00",
    "time_zone": "Europe/Berlin",
    "maintenance": [{"begin": "2026-01-10T23:00:00Z", "end": "2026-01-11T01:00:00+01:00"}],
}


def test_what_an_entry_leaves_out_is_as_for_all_sources() -> None:
    policies = alert_policies(config(scoring__cooldown_seconds=7, scoring__sources=[GATE]))
    gate, yard = policies.of("/cameras/gate-2"), policies.of("/cameras/yard")
    assert gate.budget.alpha == pytest.approx(yard.budget.alpha / 4)
    assert gate.cooldown == yard.cooldown == seconds(7)
    assert yard.quiet.why(0) is None


@pytest.mark.parametrize(
    ("time", "why"),
    [
        ("2026-01-10T20:30:00Z", "schedule"),
        ("2026-01-10T21:30:00Z", None),
        ("2026-01-10T23:59:59Z", "maintenance"),
        ("2026-01-11T00:00:00Z", None),
    ],
)
def test_schedule_and_maintenance_are_read_with_their_zones(time: str, why: str | None) -> None:
    gate = alert_policies(config(scoring__sources=[GATE])).of("/cameras/gate-2")
    assert gate.quiet.why(rfc3339.parse(time)) == why


def alerts_of(**changes: object) -> list[Alert]:
    desk = Desk(scoring__calibration_moments=20, scoring__false_alarms_per_day=21_000, **changes)
    desk.read([*footage(60, captions=False), *footage(60, "/cameras/b", captions=False)])
    desk.settled()
    topics: Callable[[str], bool] = "alerts".__eq__
    return [read_alert(each.value or b"") for each in desk.unit().outputs if topics(each.topic)]


def test_a_muted_source_is_silent_and_the_others_are_not() -> None:
    assert {each.source for each in alerts_of()} == {"/cameras/a", "/cameras/b"}
    muted = alerts_of(scoring__sources=[{"match": "/cameras/a", "mute": True}])
    assert {each.source for each in muted} == {"/cameras/b"}


def test_an_alert_names_the_threshold_of_its_source() -> None:
    found = alerts_of(scoring__sources=[{"match": "/cameras/b", "false_alarms_per_day": 10_000}])
    thresholds = {each.source: each.threshold for each in found}
    assert 0 < thresholds["/cameras/a"] < thresholds["/cameras/b"]
