"""Scenarios say what is played, and two results can be compared."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.benchmarks.compare import compared
from tests.benchmarks.scenario import DIRECTORY, Scenario, read_scenario
from tests.runtime.builders import event
from worker.core.events import Modality
from worker.errors import OperatorError

NAMES = sorted(file.stem for file in DIRECTORY.glob("*.toml"))


@pytest.mark.parametrize("name", NAMES)
def test_every_scenario_can_be_read(name: str) -> None:
    assert read_scenario(name).name == name


def test_an_unknown_scenario_is_answered_with_the_known_ones() -> None:
    with pytest.raises(OperatorError, match=r"There are audio, busy"):
        read_scenario("quiet")


def test_a_still_scene_keeps_the_first_picture_of_each_camera() -> None:
    first = event("frame", 0, payload=b"first")
    frames = [first, event("frame", 1, payload=b"second")]
    other = replace(frames[1], source="other")
    still = list(Scenario("still", still=True).events([*frames, other]))
    assert [each.payload for each in still] == [b"first", b"first", b"second"]


def test_modalities_are_left_out_and_cameras_copied() -> None:
    plays = Scenario("many", modalities=(Modality.AUDIO,), copies=3)
    kept = list(plays.events([event("frame", 0), event("audio", 0)]))
    assert {each.modality for each in kept} == {Modality.AUDIO}
    assert len({each.source for each in kept}) == 3


def test_the_interval_of_a_ratio_holds_it_and_is_wide_where_rounds_differ() -> None:
    steady = compared([1.0, 1.01, 0.99], [1.2, 1.21, 1.19])
    assert steady.low <= steady.ratio <= steady.high
    assert steady.low > 1.1
    wild = compared([1.0, 2.0, 0.5], [1.2, 0.4, 2.4])
    assert wild.low < 1 < wild.high
