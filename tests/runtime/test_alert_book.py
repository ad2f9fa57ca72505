"""What the sources of a partition index share in their decisions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from worker.core.alert_policies import AlertPolicies
from worker.core.alerts import AlertPolicy, Decision, Finding
from worker.core.false_discoveries import Discoveries, DiscoveryRate
from worker.core.policy import Budget
from worker.core.quiet import QuietTimes
from worker.core.rfc3339 import seconds
from worker.runtime.alert_book import AlertBook

POLICY = AlertPolicy(Budget(1e-4), cooldown=0)


def decided(book: AlertBook, source: str, at: int, p_value: float | None) -> Decision:
    return book.decide(
        source, Finding(seconds(at), seconds(at + 1), p_value, ("visual",)), anew=False
    )


def test_every_moment_that_may_open_an_alert_is_a_test_and_no_other() -> None:
    book = AlertBook(AlertPolicies(POLICY, discovery_rate=DiscoveryRate(0.1)), {})
    decided(book, "/a", 0, None)  # warming up
    decided(book, "/a", 1, 0.5)
    decided(book, "/b", 1, 1e-9)
    assert book.discoveries == Discoveries(2, (2,))
    decided(book, "/b", 2, 1e-9)  # of an open alert
    assert book.discoveries.tests == 2


@pytest.mark.parametrize(
    "policy",
    [
        replace(POLICY, quiet=QuietTimes(muted=True)),
        replace(POLICY, budget=Budget(0)),
    ],
)
def test_a_source_that_cannot_alert_takes_nothing_from_the_others(policy: AlertPolicy) -> None:
    book = AlertBook(AlertPolicies(policy, discovery_rate=DiscoveryRate(0.1)), {})
    decided(book, "/a", 0, 1e-9)
    assert book.discoveries == Discoveries()


def test_the_cooldown_of_a_source_is_no_time_of_tests() -> None:
    policy = replace(POLICY, cooldown=seconds(10))
    book = AlertBook(AlertPolicies(policy, discovery_rate=DiscoveryRate(0.1)), {})
    p_values = (1e-9, 0.5, 0.5, 0.5, *[0.5] * 20)  # closed by the third calm Moment, at 4 s
    for at, p_value in enumerate(p_values):
        decided(book, "/a", at, p_value)
    assert book.discoveries == Discoveries(1 + len(p_values) - 14, (1,))


def test_an_alert_of_one_source_makes_room_for_those_of_others() -> None:
    calm = Discoveries(tests=200_000)
    rate = DiscoveryRate(0.1)
    alone = AlertBook(AlertPolicies(POLICY, discovery_rate=rate), {}, calm)
    after = AlertBook(AlertPolicies(POLICY, discovery_rate=rate), {}, calm)
    assert decided(after, "/b", 0, 1e-9).kind == "open"
    for book, wanted in ((alone, "false_discovery_rate"), (after, None)):
        decided(book, "/a", 0, 5e-5)
        assert decided(book, "/a", 1, 5e-5).suppressed == wanted


def test_without_a_rate_nothing_is_counted() -> None:
    book = AlertBook(AlertPolicies(POLICY), {})
    assert decided(book, "/a", 0, 1e-9).kind == "open"
    assert book.discoveries == Discoveries()
