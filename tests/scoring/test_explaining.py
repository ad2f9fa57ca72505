"""Explanations: where it is, what it is to be compared with, and shares that add up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.scoring.moments import TEXT_DIM, normal, unusual
from worker.core.events import Modality
from worker.core.rfc3339 import seconds
from worker.scoring.examples import KEPT, NormalExamples
from worker.scoring.explaining import Explained
from worker.scoring.recent import Mark
from worker.scoring.scored import Scored, ScoringRules
from worker.scoring.scorer import Scorer
from worker.scoring.spread import SpreadSample

MOMENTS = 120
Features = dict[str, NDArray[Any]]


def name(number: int) -> str:
    return f"{number:032x}"


def warmed(moments: int = MOMENTS) -> Scorer:
    scorer = Scorer(ScoringRules(40, seed=0, alpha=1e-4, text_dim=TEXT_DIM))
    for place in range(moments):
        features, time = normal(place), seconds(place)
        scored = scorer.score("/a", features, time, carried=False)
        mark = Mark(name(place), None)
        scorer.learn("/a", features, time, scored, carried=False, mark=mark)
    return scorer


def changed(*features: str) -> Features:
    """Return a Moment in which these features alone are unusual."""
    odd = unusual(5)
    return normal(5) | {each: odd[each] for each in features}


def told(scorer: Scorer, features: Features) -> tuple[Explained, Scored]:
    scored = scorer.score("/a", features, seconds(MOMENTS), carried=False)
    return scorer.explain("/a", features, scored), scored


def test_the_hottest_cells_are_where_something_is_that_was_never_there() -> None:
    explained, _ = told(warmed(), changed("luminance"))
    assert explained.region is not None and explained.region.cells
    assert (explained.region.rows, explained.region.columns) == (12, 16)
    hottest = explained.region.cells[0]
    assert (hottest.row, hottest.column) in {(y, x) for y in range(5, 8) for x in range(5, 8)}
    heats = [cell.heat for cell in explained.region.cells]
    assert heats == sorted(heats, reverse=True)
    assert sum(heats) <= 1
    assert explained.sound_window is None


def test_of_the_sound_the_window_is_told_that_is_farthest_from_the_usual() -> None:
    explained, _ = told(warmed(), changed("audio_windows"))
    assert explained.sound_window == 2
    assert explained.region is None


def test_the_shares_of_experts_add_up_to_their_modality_s_contribution() -> None:
    explained, scored = told(warmed(), unusual(5))
    shares, contributions = explained.experts, scored.assessment.contributions
    assert sum(shares.values()) == pytest.approx(sum(contributions.values()))
    heard = sum(value for key, value in shares.items() if key.startswith("audio"))
    assert heard == pytest.approx(contributions["audio"])


def test_a_p_value_that_no_rank_can_say_names_the_scores_that_it_is_extrapolated_from() -> None:
    scorer = warmed(300)
    features = changed("audio_windows")
    scored = scorer.score("/a", features, seconds(300), carried=False)
    explained = scorer.explain("/a", features, scored)
    strongest = max(explained.experts, key=lambda name: explained.experts[name])
    assert explained.extrapolated_from is not None
    assert explained.extrapolated_from >= 200  # its own: a source of this age needs no neighbours
    p = scored.assessment.experts[strongest].p_value
    assert p is not None and p < 1 / (explained.extrapolated_from + 1)


def test_a_p_value_that_a_rank_can_say_is_not_extrapolated() -> None:
    scorer = warmed(300)
    ranked = 0
    for place in range(300, 400):
        scored = scorer.score("/a", normal(place), seconds(place), carried=False)
        explained = scorer.explain("/a", normal(place), scored)
        heard = [each.p_value for each in scored.assessment.experts.values()]
        if min(p for p in heard if p is not None) > 0.01:
            assert explained.extrapolated_from is None
            ranked += 1
    assert ranked > 20


def test_the_nearest_normal_moment_is_one_that_was_learned_and_is_most_alike() -> None:
    scorer = warmed(KEPT - 8)
    features = changed("audio_windows")
    features["audio_windows"] = normal(7)["audio_windows"] + features["audio_windows"] * 0
    scored = scorer.score("/a", features, seconds(MOMENTS), carried=False)
    heard = {"frame": 0.0, "audio": 1.0}
    scored = replace(scored, assessment=replace(scored.assessment, contributions=heard))
    nearest = scorer.explain("/a", features, scored).nearest
    assert nearest is not None
    assert (nearest.observation_id, nearest.modality) == (name(7), Modality.AUDIO)


def test_a_moment_that_is_unusual_is_no_example_of_what_is_normal() -> None:
    scorer, odd = warmed(64), unusual(5)
    scored = scorer.score("/a", odd, seconds(64), carried=False)
    assert scored.assessment.p_value is not None and scored.assessment.p_value < 0.01
    scorer.learn("/a", odd, seconds(64), scored, carried=False, mark=Mark(name(999), name(1)))
    nearest = scorer.explain("/a", odd, scored).nearest
    assert nearest is not None and nearest.observation_id != name(999)


def test_nothing_is_said_of_a_source_that_nobody_knows() -> None:
    scored = warmed(0).score("/b", normal(0), seconds(0), carried=False)
    assert warmed(0).explain("/b", normal(0), scored) == Explained()


def test_examples_come_back_as_they_were() -> None:
    examples, again = NormalExamples(), NormalExamples()
    for place in range(3 * KEPT):
        features = normal(place)
        if place % 3 == 0:
            del features["text"]
        if place % 5 == 0:
            del features["luminance"]
        examples.learn(name(place), features)
    again.restore(examples.state())
    for each in (examples, again):
        each.learn(name(500), normal(500))
    for key, array in examples.state().items():
        assert array.tobytes() == again.state()[key].tobytes(), key
    for modality in Modality:
        assert examples.nearest(modality, normal(3)) == again.nearest(modality, normal(3))


def test_a_spread_sample_is_dense_at_first_and_then_reaches_far_back() -> None:
    sample = SpreadSample[int](capacity=8, max_stride=16)
    for number in range(8):
        if sample.is_next():
            sample.keep(number)
    assert sample.kept == list(range(8))
    for number in range(8, 1000):
        if sample.is_next():
            sample.keep(number)
    gaps = set(np.diff(sample.kept).tolist())
    assert gaps == {16} and len(sample.kept) == 8
