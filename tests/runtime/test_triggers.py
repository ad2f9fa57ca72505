"""Watch phrases: found where they are watched for, named in the reason, as severe as configured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from tests.runtime.builders import START, HashEncoder, World, config, encoders, event, footage
from worker.core.events import MODALITIES, Modality
from worker.core.messages import Alert, read_alert
from worker.core.policy import Severity
from worker.core.rfc3339 import seconds
from worker.core.triggers import Trigger
from worker.feed.events import FeedEvent
from worker.models.watching import Watch
from worker.runtime.policies import alert_policies, scoring_rules
from worker.runtime.replay import Replay, Rules

FIRE = {"name": "fire", "text": "flames in the hall", "severity": "critical"}
QUICK = {"scoring__calibration_moments": 20, "scoring__false_alarms_per_day": 860}

MakeWorld = Callable[..., World]


@pytest.fixture
def world() -> Iterator[MakeWorld]:
    made: list[World] = []

    def make(**trigger: str) -> World:
        changes = {**QUICK, "scoring__triggers": [FIRE | trigger]} if trigger else QUICK
        made.append(World(config(**changes)))
        return made[-1]

    yield make
    for each in made:
        each.close()


FIRE_AT = 44


def told(until: int = 50) -> list[FeedEvent]:
    """Return footage with a new sentence each second, so that new ones are no surprise."""
    seen = [replace(one, payload=one.payload) for one in footage(until, captions=False)]
    for second in range(until):
        text = FIRE["text"] if second in (FIRE_AT, FIRE_AT + 1) else f"sentence {second}"
        seen.append(event("caption", second + 0.2, payload=text.encode()))
    return sorted(seen, key=lambda one: one.time)


def play(here: World) -> list[Alert]:
    member = here.join()
    for one in told():
        here.append([one])
        member.worker.step()
    member.run()
    here.fall_silent()
    member.run()
    member.leave()
    return [read_alert(each) for each in here.values("alerts")]


def test_what_is_said_is_near_to_its_phrase_and_nothing_else_is(world: MakeWorld) -> None:
    here = world(severity="high")
    play(here)
    found = {(one.window_start - START) // seconds(1): one for one in here.observations()}
    for second in (FIRE_AT, FIRE_AT + 1):
        assert found[second].features["trigger:fire"] == 1
        p_value = found[second].assessment.experts["trigger:fire"].p_value
        assert p_value is not None and p_value < 0.05
    assert sum(float(one.features["trigger:fire"][0]) for one in found.values()) < 8


def test_without_a_phrase_the_same_captions_are_no_alert_of_that_name(world: MakeWorld) -> None:
    here = world()
    assert all("trigger" not in reason for each in play(here) for reason in each.reasons)
    assert all("trigger" not in name for one in here.observations() for name in one.features)


def test_a_phrase_is_watched_for_in_the_sources_that_match_alone(world: MakeWorld) -> None:
    here = world(match="/cameras/b*")
    assert all("trigger" not in reason for each in play(here) for reason in each.reasons)
    assert all("trigger:fire" not in one.features for one in here.observations())


def test_a_replay_decides_the_same_with_phrases(world: MakeWorld) -> None:
    here = world(severity="high")
    play(here)
    replay = Replay(Rules(scoring_rules(here.settings, 64), alert_policies(here.settings)))
    for one in here.observations():
        assert replay.decide(one).decision == one.decision


class Tower(HashEncoder):
    """One of the towers of a model with a space that its modalities share."""

    def __init__(self, modality: Modality) -> None:
        super().__init__(modality)
        self.name = "transformers:/models/shared"


FLAMES = Trigger("fire", "flames", Severity.HIGH)


def test_pictures_are_compared_with_phrases_where_they_share_the_captions_space() -> None:
    towers = {each: Tower(each) for each in (Modality.FRAME, Modality.CAPTION)}
    together = Watch([FLAMES], {**encoders(), **towers})
    apart = Watch([FLAMES], encoders())
    assert together.modalities == (Modality.FRAME, Modality.CAPTION)
    assert apart.modalities == (Modality.CAPTION,)
    assert Watch([], {**encoders(), **towers}).modalities == ()
    vector = towers[Modality.CAPTION].encode(["flames"])[0]
    (near,) = together.margins("/cameras/a", Modality.FRAME, vector).values()
    assert np.allclose(near, 1)
    assert apart.margins("/cameras/a", Modality.FRAME, vector) == {}


def test_another_text_is_another_digest_and_none_is_as_before() -> None:
    other = replace(FLAMES, text="smoke")
    assert Watch([FLAMES], encoders()).digest != Watch([other], encoders()).digest
    assert FLAMES.expert(MODALITIES[0]) != FLAMES.expert(MODALITIES[2])
