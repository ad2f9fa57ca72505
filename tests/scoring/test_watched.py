"""A watch phrase that is met is the reason of an alert, as severe as it was configured."""

from __future__ import annotations

import numpy as np

from tests.scoring.moments import TEXT_DIM, Features, normal
from worker.core.alerts import AlertPolicy, AlertState, Finding
from worker.core.events import Modality
from worker.core.policy import Budget, Severity
from worker.core.rfc3339 import seconds
from worker.core.triggers import Trigger
from worker.scoring.memory import layout_digest
from worker.scoring.scored import Scored, ScoringRules
from worker.scoring.scorer import Scorer

FIRE = Trigger("fire", "smoke or flames", Severity.CRITICAL)
CAPTION, FRAME = (FIRE.expert(each) for each in (Modality.CAPTION, Modality.FRAME))
BUDGET = Budget.of(2, 1)
LEARNED = 420


def moment(seed: int, near: float = -0.3, seen: float = -0.1) -> Features:
    """Return an ordinary Moment with so much likeness of caption and picture to the phrase."""
    noise = np.random.default_rng(seed).normal(0, 1, 2)
    margins = {CAPTION: near + 0.02 * noise[0], FRAME: seen + 0.004 * noise[1]}
    return normal(seed) | {name: np.array([value], np.float16) for name, value in margins.items()}


def judged(*moments: Features) -> list[Scored]:
    rules = ScoringRules(200, 0, BUDGET.alpha, TEXT_DIM, (CAPTION, FRAME))
    scorer = Scorer(rules)
    for number in range(LEARNED):
        features, time = moment(number), seconds(number)
        scored = scorer.score("/a", features, time, carried=False)
        scorer.learn("/a", features, time, scored, carried=False)
    return [scorer.score("/a", each, seconds(LEARNED), carried=False) for each in moments]


def test_a_phrase_that_is_met_is_the_reason_and_the_severity_is_its_own() -> None:
    usual, told, seen = judged(moment(9001), moment(9002, near=0.6), moment(9003, seen=0.1))
    assert usual.assessment.p_value is not None and usual.assessment.p_value > 0.001
    policy = AlertPolicy(BUDGET, 0, severities={FIRE.reason: FIRE.severity})
    for found in (told, seen):
        assert found.reasons[0] == "trigger:fire"
        state = AlertState()
        for number in range(2):
            start, p = seconds(number), found.assessment.p_value
            finding = Finding(start, start + 1, p, found.reasons)
            state, decision = policy.decide(state, finding)
        assert decision.kind == "open" or state.alert is not None
        assert state.alert is not None
        assert state.alert.severity is Severity.CRITICAL


def test_what_was_learned_with_other_phrases_is_not_misread() -> None:
    assert layout_digest(TEXT_DIM, (CAPTION,)) != layout_digest(TEXT_DIM)
