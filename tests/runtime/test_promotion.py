"""A bundle that was in shadow becomes the live one: what it has learned goes on with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.models.bundles import random_bundle
from tests.runtime.builders import World, config, encoders, event, footage, in_time_order, shapes
from tests.runtime.test_recovery import interrupted, later, uninterrupted
from tests.runtime.test_shadow_bundle import stored
from worker.config import Config
from worker.core.messages import Observation
from worker.errors import StateError
from worker.feed.events import FeedEvent
from worker.scoring import sources as sources_module

MakeWorld = Callable[..., World]
QUICK = {
    "scoring__calibration_moments": 20,
    "scoring__false_alarms_per_day": 8640,
    "models__reuse": "off",  # what stands for frames belongs to the model, and begins anew
}
WARM = 45  # Moments of the first part, at whose end sources are judged
PARTS = [
    in_time_order(
        later(footage(seconds), by),
        [event("frame", by + seconds - 3.6, name=f"odd-{by}", payload=shapes())],
    )
    for by, seconds in ((0, WARM), (60, 15), (90, 15))
]
FIRST, SECOND, THIRD = slice(WARM), slice(WARM, WARM + 15), slice(WARM + 15, WARM + 30)


@pytest.fixture
def one(tmp_path: Path) -> Path:
    return random_bundle(tmp_path / "one", encoders())


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return random_bundle(tmp_path / "other", encoders(), seed=1)


def running(live: Path | None = None, shadow: Path | None = None) -> Config:
    changes: dict[str, object] = dict(QUICK)
    if live is not None:
        changes["models__bundle"] = str(live)
    if shadow is not None:
        changes["scoring__shadow"] = {"bundle": str(shadow)}
    return config(**changes)


def play(here: World, parts: list[tuple[Config, list[FeedEvent]]], crashes: set[int]) -> None:
    """Play each part under its settings, with a drain before the next ones."""
    for settings, events in parts:
        here.settings = settings
        interrupted(here, events, crashes) if crashes else uninterrupted(here, events)
        here.join(drains=True).drain()
        here.members[-1].leave()


def scored(found: list[Observation]) -> list[object]:
    return [(each.assessment, each.raw_scores) for each in found]


def tried(found: list[Observation]) -> list[object]:
    bundles = [each.shadow.bundle for each in found if each.shadow is not None]
    return [(each.assessment, each.raw_scores) for each in bundles if each is not None]


@pytest.mark.parametrize(("stored_after", "crashes"), [(1, set()), (4000, {20, 60})])
def test_it_scores_on_as_if_it_had_always_been_the_live_one(
    world: MakeWorld,
    one: Path,
    stored_after: int,
    crashes: set[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sources_module, "REPLAY_MOMENTS", stored_after)
    promoted, always = world(), world()
    play(promoted, [(running(shadow=one), PARTS[0]), (running(one), PARTS[1])], crashes)
    play(always, [(running(one), PARTS[0]), (running(one), PARTS[1])], set())
    found, expected = promoted.observations()[SECOND], always.observations()[SECOND]
    assert not any(each.assessment.warming_up for each in found)
    assert scored(found) == scored(expected)
    assert not any(each.shadow for each in found)
    assert not stored(promoted, b"scorer:"), "numbers of what is gone"
    assert bool(stored(promoted, b"shadow:")) is (stored_after == 1)


def test_what_it_takes_the_place_of_goes_on_in_shadow_and_can_come_back(
    world: MakeWorld, one: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources_module, "REPLAY_MOMENTS", 15)
    changing, always = world(), world()
    before, after = running(one, other), running(other, one)
    play(changing, list(zip((before, after, before), PARTS, strict=True)), {20, 60})
    play(always, [(before, part) for part in PARTS], set())
    found, expected = changing.observations(), always.observations()
    assert len(found) == THIRD.stop
    for part in (FIRST, THIRD):
        assert scored(found[part]) == scored(expected[part])
        assert tried(found[part]) == tried(expected[part])
    assert scored(found[SECOND]) == tried(expected[SECOND])
    assert tried(found[SECOND]) == scored(expected[SECOND])
    assert [each.number for each in found] == list(range(1, THIRD.stop + 1))


def test_what_was_live_goes_on_in_shadow_of_a_new_one(
    world: MakeWorld, one: Path, other: Path
) -> None:
    here, always = world(), world()
    play(here, [(running(one), PARTS[0]), (running(other, one), PARTS[1])], set())
    play(always, [(running(one), PARTS[0]), (running(one), PARTS[1])], set())
    found, expected = here.observations()[SECOND], always.observations()[SECOND]
    assert found[0].assessment.warming_up
    assert tried(found) == scored(expected)
    assert [each.number for each in found] == [each.number for each in expected]


def test_it_is_a_change_of_settings_that_events_must_not_wait_for(
    world: MakeWorld, one: Path
) -> None:
    here = world()
    here.settings = running(shadow=one)
    here.append(PARTS[0])
    member = here.join()
    member.run()
    member.leave()
    here.settings = running(one)
    with pytest.raises(StateError, match=r"model was .* and is .*--drain"):
        here.join().run()
