"""Which sources' numbers are stored when: what has to be learned again stays bounded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.core.rfc3339 import seconds
from worker.scoring import sources as sources_module
from worker.scoring.pool import MAX_STALE
from worker.scoring.scored import ScoringRules
from worker.scoring.scorer import Scorer

RULES = ScoringRules(calibration_moments=20, seed=0, alpha=1e-4, text_dim=8)
REPLAY = 64


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=300, max_size=400))
def test_no_more_moments_are_to_be_learned_again_than_the_bound_and_a_few(
    sources: list[int],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources_module, "REPLAY_MOMENTS", REPLAY)
        scorer = Scorer(RULES)
        for number, source in enumerate(sources):
            name, features = str(source), {"fused": np.full(64, number % 7, np.float16)}
            scored = scorer.score(name, features, seconds(number), carried=False)
            scorer.learn(name, features, seconds(number), scored, carried=False)
            for stored, numbers in scorer.due():
                assert numbers
                learned = scorer.learned_from(stored)
                assert learned is not None and learned.first > learned.last
            open_ = [scorer.learned_from(str(each)) for each in range(6)]
            first = min(
                (each.first for each in open_ if each and each.first <= each.last),
                default=scorer.state.moments,
            )
            assert scorer.state.moments - first <= REPLAY + MAX_STALE * 6


def test_many_sources_are_not_stored_again_before_each_has_learned_a_few_moments() -> None:
    count, moments, stored = 60, 900, 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources_module, "REPLAY_MOMENTS", 1)
        scorer = Scorer(RULES)
        for number in range(moments):
            name, features = str(number % count), {"fused": np.zeros(64, np.float16)}
            scored = scorer.score(name, features, seconds(number), carried=False)
            scorer.learn(name, features, seconds(number), scored, carried=False)
            stored += sum(1 for _ in scorer.due())
    assert 0 < stored <= moments / sources_module.REPLAY_EACH + count
