"""The demo keeps its promises or fails: all is counted, and the real event is found."""

from __future__ import annotations

from typing import Any

import pytest

from tests.report.builders import outcome
from worker.cli.demo_run import LAWN_SECONDS, judge
from worker.demo.tally import OUTCOMES, Tally
from worker.errors import FailedRunError
from worker.report.model import LabelOutcome

OTHER = outcome(kind="explosion", hit=True, seconds_to_detect=1.0, right_reason=True)


def tally(consumed: int = 5, paired: int = 3, buffered: int = 2) -> Tally:
    counted = dict.fromkeys(OUTCOMES, 0) | {"paired": paired}
    return Tally(consumed, counted, buffered, stage_seconds={}, encoded={})


def lawn(**changes: Any) -> LabelOutcome:
    """Return the lawn event, found at the last moment for the right reason, unless changed."""
    return outcome(**{"seconds_to_detect": LAWN_SECONDS, "right_reason": True} | changes)


def test_a_run_that_counts_all_and_finds_the_people_in_time_passes() -> None:
    judge(tally(), [OTHER, lawn()])


@pytest.mark.parametrize("consumed", [4, 6])
def test_counts_that_do_not_reconcile_fail(consumed: int) -> None:
    with pytest.raises(FailedRunError, match="do not reconcile"):
        judge(tally(consumed=consumed), [lawn()])


@pytest.mark.parametrize(
    "outcomes",
    [
        [],
        [OTHER],
        [lawn(hit=False, seconds_to_detect=None, right_reason=None), OTHER],
        [lawn(seconds_to_detect=LAWN_SECONDS + 0.1)],
        [lawn(right_reason=False)],
    ],
    ids=["no label", "another event", "missed", "late", "wrong reason"],
)
def test_people_who_are_not_found_in_time_by_what_is_seen_fail(
    outcomes: list[LabelOutcome],
) -> None:
    with pytest.raises(FailedRunError, match="people on the lawn were not found within 3 s"):
        judge(tally(), outcomes)
