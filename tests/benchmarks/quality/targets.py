"""What the figures of a part have to reach, and whether they do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tests.benchmarks.quality.incidents import GROUPS
from tests.benchmarks.quality.judged import BASELINE, NOW

WITHIN = 0.03  # AUROC, of the best single expert of a group
MORE_AUROC, MORE_PRECISION = 0.05, 0.10  # than the baseline
FEWER_NUISANCES = 0.5  # as a share of the baseline's
MOST_BELOW_01 = 0.015  # of normal Moments
RIGHT_REASON = 0.9


class Verdict(NamedTuple):
    """A figure beside its bound."""

    target: str
    figure: float
    bound: float
    is_reached: bool


def of_part(measured: Mapping[str, Any]) -> list[Verdict]:
    """Return the verdicts on streams with anomalies and nuisances."""
    now, other = measured["methods"][NOW], measured["methods"][BASELINE]
    of_masks = [each["below_01"] for each in measured["masks"].values()]
    return [
        _at_least("AUROC, over the baseline", now["auroc"], other["auroc"] + MORE_AUROC),
        _at_least(
            "average precision, over the baseline",
            now["average_precision"],
            other["average_precision"] + MORE_PRECISION,
        ),
        _at_most(
            "nuisances p<.01, half of the baseline's",
            now["nuisances_below_01"],
            FEWER_NUISANCES * other["nuisances_below_01"],
        ),
        *_beside_experts(now, measured["experts"]),
        _at_least("first reason right", measured["first_reason_right"], RIGHT_REASON),
        _at_most("normal p<.01", now["below_01"], MOST_BELOW_01),
        _at_most("normal p<.01, worst of the masks", max(of_masks), MOST_BELOW_01),
    ]


def of_hours(measured: Mapping[str, Any]) -> list[Verdict]:
    """Return the verdict on hours in which nothing happens."""
    return [_at_most("p<.01 in calm hours", measured[NOW]["below_01"], MOST_BELOW_01)]


def _beside_experts(
    now: Mapping[str, Any], experts: Mapping[str, Mapping[str, Any]]
) -> Iterator[Verdict]:
    best = max(each["auroc"] for each in experts.values())
    yield _at_least("AUROC, over the best single expert", now["auroc"], best)
    for group in GROUPS:
        best = max(each["groups"][group] for each in experts.values())
        name = f"AUROC of {group}, near the best single expert"
        yield _at_least(name, now["groups"][group], best - WITHIN)


def _at_least(target: str, figure: float, bound: float) -> Verdict:
    return Verdict(target, figure, bound, figure >= bound)


def _at_most(target: str, figure: float, bound: float) -> Verdict:
    return Verdict(target, figure, bound, figure <= bound)
