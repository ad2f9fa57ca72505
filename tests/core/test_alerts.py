"""Alerts: debounce, one id for a whole life, updates worth reading, cooldown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.core.alerts import AlertPolicy, AlertState, Decision, Finding
from worker.core.policy import Budget, Severity, score_of
from worker.core.rfc3339 import seconds

ALPHA = 1e-4
POLICY = AlertPolicy(Budget(ALPHA), cooldown=seconds(30))


def play(
    *p_values: float | None, reasons: tuple[str, ...] = ("visual",), policy: AlertPolicy = POLICY
) -> list[Decision]:
    state, decisions = AlertState(), []
    for place, p_value in enumerate(p_values):
        finding = Finding(seconds(place), seconds(place + 1), p_value, reasons)
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


def test_a_budget_of_zero_never_alerts() -> None:
    off = AlertPolicy(Budget.of(0, 1), cooldown=0)
    assert {one.kind for one in play(0.0, 0.0, 0.0, policy=off)} == {"none"}


def test_severity_rises_with_each_factor_of_a_hundred() -> None:
    opened = play(1e-9)[0].alert
    assert opened is not None
    assert opened.severity is Severity.HIGH


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
