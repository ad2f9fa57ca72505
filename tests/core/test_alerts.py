"""Alerts: debounce, one id for a whole life, updates worth reading, cooldown."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core import rfc3339
from worker.core.alert_policies import AlertPolicies, SourcePolicy
from worker.core.alerts import AlertPolicy, AlertState, Decision, Finding
from worker.core.policy import Budget, Severity, score_of
from worker.core.quiet import Hours, QuietTimes
from worker.core.rfc3339 import seconds
from worker.core.source_patterns import SourcePatterns

ALPHA = 1e-4
POLICY = AlertPolicy(Budget(ALPHA), cooldown=seconds(30))


def play(
    *p_values: float | None,
    reasons: tuple[str, ...] = ("visual",),
    policy: AlertPolicy = POLICY,
    silent_after: frozenset[int] = frozenset(),
) -> list[Decision]:
    state, decisions = AlertState(), []
    for place, p_value in enumerate(p_values):
        start, end = seconds(place), seconds(place + 1)
        finding = Finding(start, end, p_value, reasons, place in silent_after)
        state, decision = policy.decide(state, finding)
        decisions.append(decision)
    return decisions


def kinds(*p_values: float | None) -> list[str]:
    return [decision.kind for decision in play(*p_values)]


def test_one_unusual_moment_is_not_an_alert() -> None:
    decisions = play(0.5, 1e-5, 0.5, 0.5)
    assert [one.kind for one in decisions] == ["none"] * 4
    assert decisions[1].suppressed == "debounce"


def test_two_of_three_open_an_alert_that_starts_with_the_first_of_them() -> None:
    decisions = play(0.5, 1e-5, 0.5, 1e-5)
    assert decisions[3].kind == "open"
    assert decisions[3].alert is not None
    assert decisions[3].alert.start == seconds(1)


def test_one_moment_far_below_alpha_opens_at_once() -> None:
    assert kinds(0.5, ALPHA / 100) == ["none", "open"]


def test_a_source_that_warms_up_decides_nothing() -> None:
    assert kinds(None, None, 1e-9) == ["none", "none", "open"]


def test_an_open_alert_closes_after_three_calm_moments_and_keeps_its_identity() -> None:
    decisions = play(1e-9, 1e-9, 0.5, 0.5, 0.5)
    assert [one.kind for one in decisions] == ["open", "none", "none", "none", "close"]
    opened, closed = decisions[0].alert, decisions[4].alert
    assert opened is not None
    assert closed is not None
    assert (opened.start, opened.sequence, closed.sequence) == (closed.start, 0, 1)


def test_a_moment_near_the_threshold_keeps_it_open() -> None:
    near = ALPHA * 5
    assert "close" not in kinds(1e-9, 0.5, 0.5, near, 0.5, 0.5, near)


def test_an_alert_closes_also_where_the_windows_are_so_long_that_alpha_is_large() -> None:
    hourly = AlertPolicy(Budget.of(2, 3600), cooldown=0)
    assert hourly.budget.alpha > 0.1
    decisions = play(1e-9, 0.9, 0.9, 0.9, policy=hourly)
    assert [one.kind for one in decisions] == ["open", "none", "none", "close"]


def test_an_update_is_sent_only_where_severity_or_reasons_grow() -> None:
    assert kinds(1e-6, 1e-6, 1e-6, 1e-9, 1e-9, 1e-6) == [
        "open",
        "none",
        "none",
        "update",
        "none",
        "none",
    ]


def test_after_a_close_no_alert_opens_before_the_cooldown_is_over() -> None:
    calm = [0.5] * 3
    decisions = play(1e-9, *calm, *[1e-9] * 40)
    again = [place for place, one in enumerate(decisions) if one.kind == "open"]
    assert again == [0, 34]  # closed with the Moment that ends at 4 s
    assert decisions[5].suppressed == "cooldown"


def test_no_alert_opens_above_the_level_of_the_fleet_and_the_source_says_why() -> None:
    state, decision = AlertState(), Decision("none")
    policy = replace(POLICY, level=2e-6)
    for place, p_value in enumerate((1e-5, 5e-5, 2e-6)):
        finding = Finding(seconds(place), seconds(place + 1), p_value, ("visual",))
        state, decision = policy.decide(state, finding)
        if place == 1:
            assert (decision.kind, decision.suppressed) == ("none", "false_discovery_rate")
    assert decision.kind == "open"
    assert decision.alert is not None and decision.alert.start == 0


def test_the_level_of_the_fleet_closes_no_alert() -> None:
    state, _ = POLICY.decide(AlertState(), Finding(0, seconds(1), 1e-9, ("visual",)))
    for place in range(1, 9):
        finding = Finding(seconds(place), seconds(place + 1), 1e-5, ("visual",))
        state, decision = replace(POLICY, level=0.0).decide(state, finding)
        assert decision.kind == "none"
    assert state.alert is not None


def test_a_budget_of_zero_never_alerts() -> None:
    off = AlertPolicy(Budget.of(0, 1), cooldown=0)
    assert {one.kind for one in play(0.0, 0.0, 0.0, policy=off)} == {"none"}


def test_severity_rises_with_each_factor_of_a_hundred() -> None:
    opened = play(1e-9)[0].alert
    assert opened is not None
    assert opened.severity is Severity.HIGH


def test_who_stays_unusual_is_worse_after_a_minute_and_after_ten() -> None:
    decisions = play(*[ALPHA / 2] * 700)
    said = [(place, one.alert.severity) for place, one in enumerate(decisions) if one.alert]
    assert said == [(1, Severity.LOW), (59, Severity.MEDIUM), (599, Severity.HIGH)]


def test_an_open_alert_is_closed_by_the_silence_of_its_source() -> None:
    decisions = play(1e-9, 1e-9, 0.5, 0.5, silent_after=frozenset({1}))
    assert [one.kind for one in decisions] == ["open", "close", "none", "none"]
    assert decisions[1].closed_for == "silence"
    assert play(1e-9, 0.5, None, silent_after=frozenset({2}))[2].kind == "close"


def test_an_alert_that_gets_worse_in_the_last_moment_is_closed_by_one_message() -> None:
    opened, worse = play(ALPHA / 110, 1e-20, silent_after=frozenset({1}))
    assert opened.alert is not None
    assert worse.alert is not None
    assert (opened.kind, worse.kind) == ("open", "close")
    assert worse.alert.sequence == opened.alert.sequence + 1
    assert worse.alert.severity.rank > opened.alert.severity.rank


def test_what_is_unusual_last_before_a_silence_opens_and_closes_at_once() -> None:
    opened = play(0.5, 1e-9, 1e-9, silent_after=frozenset({1}))
    assert (opened[1].kind, opened[1].closed_for) == ("open", "silence")
    assert opened[2].suppressed == "cooldown"


@pytest.mark.parametrize(
    ("quiet", "why"),
    [
        (QuietTimes(muted=True), "mute"),
        (QuietTimes(maintenance=((0, seconds(1)), (seconds(2), seconds(99)))), "maintenance"),
        (QuietTimes(hours=Hours(22 * 60, 6 * 60, ZoneInfo("Asia/Tokyo"))), "schedule"),
    ],
)
def test_a_quiet_source_opens_no_alert_and_says_why(quiet: QuietTimes, why: str) -> None:
    decisions = play(0.5, 0.5, 1e-9, 1e-9, policy=replace(POLICY, quiet=quiet))
    assert [one.kind for one in decisions] == ["none"] * 4
    assert [one.suppressed for one in decisions[2:]] == [why, why]


def test_an_alert_that_is_open_when_the_quiet_begins_is_closed_and_says_why() -> None:
    policy = replace(POLICY, quiet=QuietTimes(maintenance=((seconds(2), seconds(4)),)))
    decisions = play(1e-9, 1e-9, 1e-9, 1e-9, 1e-9, policy=policy)
    assert [one.kind for one in decisions] == ["open", "none", "close", "none", "none"]
    assert decisions[2].closed_for == "maintenance"


def test_an_open_alert_is_closed_where_the_budget_was_taken_away() -> None:
    state, _ = POLICY.decide(AlertState(), Finding(0, 1, 1e-9, ("visual",)))
    off = AlertPolicy(Budget.of(0, 1), cooldown=0)
    after, decision = off.decide(state, Finding(1, 2, 1e-9, ("visual",)))
    assert (decision.kind, decision.closed_for, after.alert) == ("close", "budget", None)


def test_a_schedule_follows_the_clock_of_its_time_zone() -> None:
    berlin = Hours(22 * 60, 6 * 60, ZoneInfo("Europe/Berlin"))

    def at(text: str) -> bool:
        return berlin.contains(rfc3339.parse(text))

    assert [at("2026-01-10T20:59:59Z"), at("2026-01-10T21:00:00Z")] == [False, True]
    assert [at("2026-07-10T19:59:59Z"), at("2026-07-10T20:00:00Z")] == [False, True]
    assert at("0001-01-01T00:00:00Z")  # a clock that is wrong by ages must not stop the worker


def test_the_first_pattern_that_matches_a_source_holds() -> None:
    night, day = (replace(POLICY, cooldown=number) for number in (1, 2))
    policies = AlertPolicies(
        POLICY,
        (
            SourcePolicy(SourcePatterns(("/cameras/gate-[12]",)), night),
            SourcePolicy(SourcePatterns(("/cameras/*",)), day),
        ),
    )
    assert policies.of("/cameras/gate-1") is night
    assert policies.of("/cameras/gate-3") is day
    assert policies.of("/doors/1") is POLICY


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=80))
def test_messages_of_an_alert_are_numbered_from_open_to_close(p_values: list[float | None]) -> None:
    expected: int | None = None
    for decision in play(*p_values):
        if decision.kind == "none":
            continue
        assert decision.alert is not None
        assert (decision.kind == "open") == (expected is None)
        assert decision.alert.sequence == (expected or 0)
        expected = None if decision.kind == "close" else decision.alert.sequence + 1


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_score_is_in_the_unit_interval_and_falls_with_p(p: float, q: float) -> None:
    assert 0 <= score_of(p) <= 1
    assert (score_of(p) >= score_of(q)) or p > q
