"""What becomes usual by itself, and what people say about that."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from tests.scoring.moments import TEXT_DIM, normal, unusual
from tests.scoring.scorers import judged, rules, warmed
from worker.core.messages import Label
from worker.core.rfc3339 import seconds
from worker.scoring.recent import Mark, Meant
from worker.scoring.scored import Scored, ScoringRules
from worker.scoring.scorer import Scorer


def share_unusual(scorer: Scorer, begin: int, moments: int) -> float:
    """Go on with a scene in which something is new for good; return the share with p <= alpha."""
    found = [judged(scorer, "/a", begin + place, unusual(place)) for place in range(moments)]
    p_values = [each.assessment.p_value for each in found]
    return sum(p is not None and p <= rules().alpha for p in p_values) / moments


def test_what_goes_on_for_a_quarter_of_an_hour_is_learned_and_what_was_usual_stays_so() -> None:
    scorer = warmed(200)
    assert share_unusual(scorer, 200, 600) == 1  # ten minutes
    share_unusual(scorer, 800, 600)
    assert share_unusual(scorer, 1400, 100) == 0
    again = [judged(scorer, "/a", 1500 + place, normal(3000 + place)) for place in range(50)]
    assert all((each.assessment.p_value or 0) > 0.01 for each in again)


NEWEST, OLDER, UNKNOWN = "a" * 32, "b" * 32, "c" * 32
NO = ("anomaly", NEWEST)


@pytest.mark.parametrize(
    ("later", "said", "stays"),  # later: Moments, so before the flag is up or after
    [
        (1, [NO], True),
        (50, [NO], True),
        (50, [NO, NO, ("anomaly", UNKNOWN), ("unsure", UNKNOWN), ("normal", OLDER)], True),
        (50, [("anomaly", OLDER), NO, ("normal", OLDER)], True),
        (1, [NO, ("normal", NEWEST), NO, ("anomaly", OLDER)], True),
        (1, [NO, ("unsure", NEWEST)], False),
        (50, [("anomaly", OLDER)], False),
    ],
)
def test_what_a_person_calls_an_anomaly_is_not_learned_however_long_it_goes_on(
    later: int, said: list[tuple[Label, str]], *, stays: bool
) -> None:
    scorer = warmed(200)
    for place, alert in ((150, OLDER), (200, NEWEST)):
        time, odd = seconds(place), unusual(place)
        scored = scorer.score("/a", odd, time, carried=False)
        scorer.learn("/a", odd, time, scored, carried=False, mark=Mark("d" * 32, alert))
    share_unusual(scorer, 201, later)
    for label, alert in said:
        scorer.heed("/a", label, Meant(alert, None))
    share_unusual(scorer, 201 + later, 1300)
    assert (share_unusual(scorer, 1501 + later, 50) == 1) == stays


def test_an_alert_that_nobody_spoke_of_is_not_refused_for_the_one_before() -> None:
    scorer = warmed(200)
    for place, alert, label in ((200, OLDER, "anomaly"), (201, NEWEST, "unsure")):
        time, odd = seconds(place), unusual(place)
        scored = scorer.score("/a", odd, time, carried=False)
        scorer.learn("/a", odd, time, scored, carried=False, mark=Mark(f"{place:032x}", alert))
        scorer.heed("/a", cast(Label, label), Meant(alert, None))
    share_unusual(scorer, 202, 1300)
    assert share_unusual(scorer, 1502, 50) == 0


def test_no_score_of_an_anomaly_s_time_calibrates_also_where_it_goes_on_after_the_word() -> None:
    scorer = warmed(200)
    for place in range(200, 205):
        time, odd = seconds(place), unusual(place)
        mark = Mark(f"{place:032x}", NEWEST) if place in {200, 204} else None
        scored = scorer.score("/a", odd, time, carried=False)
        as_if = replace(scored, assessment=replace(scored.assessment, p_value=0.5))  # calibrates
        scorer.learn("/a", odd, time, as_if, carried=False, mark=mark)
        if mark is not None:
            scorer.heed("/a", "anomaly", Meant(NEWEST, None))
    memory = scorer._sources.get("/a")
    assert memory is not None
    waiting = memory.lagged.state()
    withheld = waiting["times"][waiting["withheld"] == 1]
    assert withheld.tolist() == [seconds(place) for place in range(200, 205)]


def test_who_called_an_anomaly_what_is_over_has_no_say_in_what_comes_later() -> None:
    scorer = warmed(200)
    scored = scorer.score("/a", unusual(0), seconds(200), carried=False)
    mark = Mark("d" * 32, NEWEST)
    scorer.learn("/a", unusual(0), seconds(200), scored, carried=False, mark=mark)
    scorer.heed("/a", "anomaly", Meant(NEWEST, None))
    for place in range(201, 260):
        judged(scorer, "/a", place, normal(place))
    share_unusual(scorer, 260, 1300)
    assert share_unusual(scorer, 1560, 50) == 0


def test_with_a_large_budget_too_few_unusual_moments_are_learned() -> None:
    using = ScoringRules(calibration_moments=40, seed=0, alpha=0.05, text_dim=TEXT_DIM)
    scorer = warmed(200, using=using)
    memory = scorer._sources.get("/a")
    assert memory is not None
    before = int(memory.experts["camera_dark"].state()["learned"][0])
    for place in range(200, 500):
        scored = scorer.score("/a", normal(place), seconds(place), carried=False)
        as_if = replace(scored, assessment=replace(scored.assessment, p_value=0.02))
        scorer.learn("/a", normal(place), seconds(place), as_if, carried=False)
    assert memory.adapts
    assert 0 < int(memory.experts["camera_dark"].state()["learned"][0]) - before < 10


@pytest.mark.parametrize("later", [0, 300])  # seconds: its scores still wait, or have settled
def test_what_a_person_calls_an_anomaly_of_a_young_source_is_usual_no_more(later: int) -> None:
    scorer = warmed(80, "/neighbour")
    for place in range(30):
        judged(scorer, "/a", place, normal(1000 + place))
    odd, alert = unusual(5), "a" * 32
    for place in range(30, 34):  # learned: the source may be one that shows this
        time = seconds(place)
        scored = scorer.score("/a", odd, time, carried=False)
        mark = Mark(f"{place:032x}", alert)
        scorer.learn("/a", odd, time, scored, carried=False, mark=mark)
    for place in range(5):
        judged(scorer, "/a", 34 + later + place, normal(2000 + place))

    def heard() -> Scored:
        return scorer.score("/a", odd, seconds(40 + later), carried=False)

    before = heard()
    assert scorer.heed("/a", "anomaly", Meant(alert, None)) == (alert,)
    after = heard()
    assert before.raw["audio"] < 1 < after.raw["audio"]
    assert (after.assessment.p_value or 1) < 0.1 * (before.assessment.p_value or 0)
    assert scorer.heed("/a", "anomaly", Meant(alert, None)) == (alert,)
    assert heard() == after


def test_who_is_unsure_after_all_lets_scores_calibrate_that_still_wait() -> None:
    scorers, alert = [warmed(80), warmed(80)], "a" * 32
    for scorer, said in zip(scorers, ((), ("anomaly", "unsure", "unsure")), strict=True):
        odd, time = unusual(5), seconds(80)
        scored = scorer.score("/a", odd, time, carried=False)
        scorer.learn("/a", odd, time, scored, carried=False, mark=Mark("b" * 32, alert))
        for place in range(81, 84):
            judged(scorer, "/a", place, normal(place))
        for label in said:
            scorer.heed("/a", cast(Label, label), Meant(alert, None))
        for place in range(84, 200):
            judged(scorer, "/a", place, normal(place))
    plain, other = (each.score("/a", normal(200), seconds(200), carried=False) for each in scorers)
    assert plain == other
