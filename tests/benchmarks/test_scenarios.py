"""Scenarios say what is played, and two results can be compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks.cameras import Cameras, Plan
from tests.benchmarks.compare import compared, figures_of
from tests.benchmarks.overload import Surge
from tests.benchmarks.page import render, write_page
from tests.benchmarks.scenario import DIRECTORY, Crowd, Group, Rush, Scenario, read_scenario
from tests.runtime.builders import event
from worker.core.events import Modality
from worker.core.rfc3339 import seconds
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


def test_a_scenario_names_the_benchmark_that_plays_it() -> None:
    assert isinstance(read_scenario("overload"), Rush)
    assert isinstance(read_scenario("sources-10k"), Crowd)
    assert isinstance(read_scenario("workers"), Group)
    assert isinstance(read_scenario("busy"), Scenario)


def test_in_a_rush_other_cameras_send_beside_the_usual_ones() -> None:
    cameras = Cameras(Plan(3, 1e9, 1e9, 1e9), 2)
    surge = Surge(cameras, 1, Rush("rush", half_seconds=2, rush_seconds=2))
    seen: dict[int, set[str]] = {}
    for sent in surge.events(0):
        if sent.time >= seconds(6):
            break
        seen.setdefault(sent.time // seconds(2), set()).add(sent.source)
    assert [len(seen[phase]) for phase in range(3)] == [1, 3, 1]


ABOUT = {
    "machine": {"processor": "<b>", "cores": 2, "load_average": [0.5, 0.5, 0.5]},
    "versions": {"python": "3.11"},
    "commit": "abc",
}
WORKERS = {
    **ABOUT,
    "points": [
        {"workers": n, "moments": 10, "wall_seconds": 10 / n, "cpu_seconds": 8, "peak_bytes": 1}
        for n in (1, 2)
    ],
}
OVERLOAD = {
    **ABOUT,
    "scenario": {"name": "overload"},
    "target_seconds": 9,
    "timeline": [
        {"second": 0, "moments": 3, "delay": 2.5, "reduced": 0},
        {"second": 1, "moments": 9, "delay": None, "reduced": 9},
    ],
    "phases": {"rush": {"longest_delay_seconds": 5.0}},
}


def test_all_results_of_a_directory_are_drawn_and_their_text_is_escaped() -> None:
    page = render({"workers.json": WORKERS, "overload.json": OVERLOAD})
    assert page.count("<polyline") == 7
    assert "&lt;b&gt;" in page
    assert "<b>" not in page


def test_a_directory_without_results_has_no_page(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="run make bench"):
        write_page(tmp_path)


def test_results_of_other_benchmarks_are_compared_by_what_they_share() -> None:
    assert figures_of(WORKERS)["2 workers, rate"] == [2.0]
    assert figures_of(OVERLOAD) == {"rush, inverse of the longest delay": [0.2]}
