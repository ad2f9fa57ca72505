"""What people say has its effect once, between two Moments, whatever crashes around it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.runtime.builders import START, Member, World, config, footage, in_time_order, picture
from worker.cli.app import app
from worker.core.caution import TRIES
from worker.core.messages import Alert, Heeded, Observation, read_alert
from worker.core.messages.feedback import Label
from worker.core.ports import Output
from worker.core.rfc3339 import seconds
from worker.errors import Reason
from worker.evaluation.labels import read_labels
from worker.feed.events import FeedEvent
from worker.runtime.policies import alert_policies, scoring_rules
from worker.runtime.replay import Replay, Rules
from worker.scoring import drift
from worker.scoring import sources as sources_module

QUICK = {
    "scoring__calibration_moments": 20,
    "scoring__false_alarms_per_day": 860,
    "scoring__cooldown_seconds": 2,
}
ODD = (32, 33, 34, 52, 53, 54)  # seconds at which something is seen that never was before
Word = tuple[float, Label, str]  # seconds after START, what is said, of which source

MakeWorld = Callable[..., World]


@pytest.fixture
def world(world: MakeWorld) -> MakeWorld:
    return partial(world, hears=True, **QUICK)


def camera(source: str = "/cameras/a", until: int = 66) -> list[FeedEvent]:
    """Return footage in which two sights come again and again, but for ODD."""
    usual = footage(until, source, captions=False)
    return [replace(one, payload=_sight(one)) if one.modality == "frame" else one for one in usual]


def _sight(one: FeedEvent) -> bytes:
    second = (one.time - START) // seconds(1)
    return picture(190 if second in ODD else 10 + 10 * (second % 2))


def play(
    here: World, events: list[FeedEvent], words: list[Word], crashes: frozenset[int] = frozenset()
) -> None:
    """Append events and words in time order; at each word the newest alert of its source is meant.

    `crashes` are places in `events` after which the worker is gone without a word.
    """
    member, ends, left = here.join(), 0, sorted(words)
    for place, one in enumerate(events):
        while left and one.time >= START + seconds(left[0][0]):
            member.run()
            _, label, source = left.pop(0)
            alerts = [each for each in alerts_of(here) if each.source == source]
            named = {"alert_id": alerts[-1].alert_id} if alerts else {"alert_id": "0" * 32}
            here.say(label, source, **named)
        here.append([one])
        if place % 5 == 0:
            member.worker.step()
        if place in crashes:
            member.crash()
            member = here.join()
            ends += 1
            if ends % (TRIES - 1) == 0:  # one more, and an event would be held responsible
                member.run()
    member.run()
    here.fall_silent()
    member.run()
    here.clock.now += seconds(1)
    member.run()
    member.leave()


def settle(here: World) -> Member:
    """Let a worker take in all that there is, and leave."""
    member = here.join()
    member.run()
    here.clock.now += seconds(1)
    member.run()
    member.leave()
    return member


def alerts_of(here: World) -> list[Alert]:
    return [read_alert(each) for each in here.values(here.settings.topics.alerts)]


def opened(here: World) -> list[int]:
    """Return the seconds at which alerts opened."""
    begins = (each.window_start for each in alerts_of(here) if each.type == "open")
    return [(begin - START) // seconds(1) for begin in begins]


def heeded(here: World) -> list[Heeded]:
    return [each for one in here.observations() for each in one.heeded]


def at(here: World, second: int) -> Observation:
    (found,) = [one for one in here.observations() if one.window_start == START + seconds(second)]
    return found


def test_without_a_word_what_is_odd_twice_alerts_twice(world: MakeWorld) -> None:
    here = world()
    play(here, camera(), [])
    assert len(opened(here)) == 2
    assert heeded(here) == []


def test_what_a_person_calls_normal_alerts_no_more(world: MakeWorld) -> None:
    here = world()
    play(here, camera(), [(40, "normal", "/cameras/a")])
    assert len(opened(here)) == 1
    (came,) = heeded(here)
    assert (came.effect, came.feedback.label) == ("learned", "normal")
    assert came.factor < 1


def test_what_a_person_calls_an_anomaly_alerts_again(world: MakeWorld) -> None:
    here = world()
    play(here, camera(), [(40, "anomaly", "/cameras/a")])
    first, second = [each for each in alerts_of(here) if each.type == "open"]
    assert [each.effect for each in heeded(here)] == ["kept_out"]
    assert second.threshold < first.threshold  # on the score: smaller is more watchful


def test_a_word_stands_in_the_next_observation_of_its_source_alone(world: MakeWorld) -> None:
    here = world()
    both = in_time_order(camera(), camera("/cameras/b"))
    play(here, both, [(40.5, "unsure", "/cameras/b")])
    spoken = [one for one in here.observations() if one.heeded]
    assert [one.source for one in spoken] == ["/cameras/b"]
    assert 36 <= (spoken[0].window_start - START) / seconds(1) <= 40


def test_who_says_the_same_twice_changes_it_once(world: MakeWorld) -> None:
    once, twice = world(), world()
    play(once, camera(), [(40, "normal", "/cameras/a")])
    play(twice, camera(), [(40, "normal", "/cameras/a"), (42, "normal", "/cameras/a")])
    assert [each.effect for each in heeded(twice)] == ["learned", "repeated"]
    assert [one.raw_scores for one in once.observations()] == [
        one.raw_scores for one in twice.observations()
    ]
    assert opened(once) == opened(twice)


def test_what_was_said_can_be_taken_back(world: MakeWorld) -> None:
    here, silent = world(), world()
    play(here, camera(), [(40, "normal", "/cameras/a"), (45, "unsure", "/cameras/a")])
    play(silent, camera(), [])
    assert [each.effect for each in heeded(here)] == ["learned", "noted"]
    assert heeded(here)[-1].factor == 1
    usual = at(silent, 50).assessment
    assert at(here, 50).assessment.experts["fused"].p_value is not None
    assert at(here, 50).assessment.experts.keys() == usual.experts.keys()


def test_an_alert_that_is_not_remembered_changes_nothing(world: MakeWorld) -> None:
    here, silent = world(), world()
    play(here, camera(), [(25, "normal", "/cameras/a")])
    play(silent, camera(), [])
    assert [each.effect for each in heeded(here)] == ["unknown"]
    assert opened(here) == opened(silent)
    assert [one.assessment for one in here.observations()] == [
        one.assessment for one in silent.observations()
    ]


def test_a_camera_that_was_moved_is_learned_anew(world: MakeWorld) -> None:
    here = world()
    play(here, camera(), [(38, "learn_anew", "/cameras/a")])
    assert [each.effect for each in heeded(here)] == ["restarted"]
    (spoken,) = [one for one in here.observations() if one.heeded]
    assert spoken.assessment.warming_up
    assert spoken.decision.closed_for == "learn_anew"
    assert not at(here, 33).assessment.warming_up
    progress = at(here, 64).assessment.warmup
    assert progress is not None
    assert 10 < progress.have < 20


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"value": b"{}"}, Reason.INVALID_FEEDBACK),
        ({"value": b"\xff"}, Reason.INVALID_FEEDBACK),
        ({"value": None}, Reason.NULL_VALUE),
        ({"value": b"{" + b" " * 20_000 + b"}"}, Reason.TOO_LARGE),
        ({"key": None}, Reason.NULL_KEY),
        ({"key": b"/cameras/b"}, Reason.KEY_MISMATCH),
    ],
)
def test_a_word_that_cannot_be_read_is_a_dead_letter(
    world: MakeWorld, change: dict[str, Any], reason: Reason
) -> None:
    here = world()
    here.append(camera(until=5))
    here.say("normal", alert_id="0" * 32)
    (good,) = here.log.read_all("feedback")
    bad = replace(Output("feedback", good.key, good.value, good.headers), **change)
    here.append_output(bad)
    member = settle(here)
    assert reasons(here) == [reason]
    assert member.tally().reconciles


def reasons(here: World) -> list[str]:
    letters = here.log.read_all(here.settings.topics.dead_letters)
    return [(dict(one.headers)["mmworker.error.reason"] or b"").decode() for one in letters]


def test_a_word_about_an_unknown_source_is_a_dead_letter(world: MakeWorld) -> None:
    here = world()
    here.append(camera(until=5))
    here.say("learn_anew", "/cameras/nobody")
    settle(here)
    assert reasons(here) == ["unknown_source"]


def test_more_words_than_may_wait_are_dead_letters(world: MakeWorld) -> None:
    here = world()
    here.append(camera(until=1))
    for number in range(40):
        here.clock.now += 1
        here.say("unsure", alert_id=f"{number:032x}")
    settle(here)
    assert reasons(here) == ["feedback_backlog"] * 8


def test_words_are_counted_and_reconciled(world: MakeWorld) -> None:
    here = world()
    play(here, camera(), [(40, "normal", "/cameras/a"), (41, "normal", "/cameras/a")])
    member = here.members[-1]
    assert member.tally().reconciles
    assert member.metric("feedback_total", label="normal", effect="learned") == 1
    assert member.metric("feedback_total", label="normal", effect="repeated") == 1
    assert member.metric("events_total", modality="feedback", outcome="paired") == 2


WORDS: list[Word] = [
    (38, "normal", "/cameras/a"),
    (40, "anomaly", "/cameras/b"),
    (42, "unsure", "/cameras/a"),
    (44, "normal", "/cameras/b"),
    (48, "learn_anew", "/cameras/a"),
    (58, "normal", "/cameras/b"),
]


@pytest.fixture(scope="module", autouse=True)
def _drift_is_flagged_soon() -> Iterator[None]:
    """So the flag is among what a successor has to know."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drift, "ALARM", 1.05)
        yield


@pytest.fixture(scope="module")
def undisturbed() -> Iterator[World]:
    here = World(config(**QUICK), hears=True)
    try:
        play(here, two_cameras(), WORDS)
        yield here
    finally:
        here.close()


@cache  # the same ids for all
def two_cameras() -> list[FeedEvent]:
    return in_time_order(camera(), camera("/cameras/b"))


@settings(max_examples=1, deadline=None)
@example(frozenset(range(30, 260, 23)), 1)
@given(st.frozensets(st.integers(120, 260), max_size=6), st.sampled_from([1, 20, 4000]))
def test_a_crash_changes_nothing_that_follows_from_words(
    undisturbed: World, crashes: frozenset[int], replay: int
) -> None:
    faulty = World(config(**QUICK), hears=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources_module, "REPLAY_MOMENTS", replay)
        try:
            play(faulty, two_cameras(), WORDS, crashes)
        finally:
            faulty.close()
    topics = faulty.settings.topics
    for topic in (topics.observations, topics.alerts, topics.dead_letters):
        assert faulty.values(topic) == undisturbed.values(topic)
    effects = {each.effect for each in heeded(undisturbed)}
    assert len({one.assessment.drifting for one in undisturbed.observations()}) == 2
    assert effects >= {"learned", "kept_out", "noted", "restarted"}


def test_a_replay_heeds_what_was_heeded(undisturbed: World) -> None:
    config_of = undisturbed.settings
    replay = Replay(Rules(scoring_rules(config_of, 64), alert_policies(config_of)))
    for one in undisturbed.observations():
        assert replay.decide(one).decision == one.decision


def test_what_people_call_an_anomaly_becomes_a_labelled_event(
    world: MakeWorld, tmp_path: Path
) -> None:
    here = world()
    play(here, camera(), [(40, "anomaly", "/cameras/a"), (62, "normal", "/cameras/a")])
    stored = tmp_path / "observations.jsonl"
    stored.write_bytes(b"\n".join(here.values("observations")))
    done = CliRunner().invoke(app, ["labels", "heard", "--observations", str(stored)])
    assert done.exit_code == 0, done.output
    labels = tmp_path / "labels.csv"
    labels.write_text(done.stdout)
    (found,) = read_labels(labels)
    first = next(each for each in alerts_of(here) if each.source == "/cameras/a")
    assert (found.source, found.start.micros) == ("/cameras/a", first.window_start)
    assert found.end.micros > first.window_end
    assert found.kind == first.reasons[0]


def test_a_topic_that_comes_later_is_read_from_its_beginning_and_nothing_is_forgotten(
    world: MakeWorld,
) -> None:
    here = world()
    here.hears = False
    here.append(camera(until=50))
    settle(here)
    assert not here.observations()[-1].assessment.warming_up
    here.say("normal", alert_id=alerts_of(here)[-1].alert_id)
    here.hears = True
    here.append([replace(one, id=f"{one.id}-2") for one in camera()[100:]])
    settle(here)
    assert [each.effect for each in heeded(here)] == ["learned"]
    assert not here.observations()[-1].assessment.warming_up
    here.hears = False  # and it may be gone again
    settle(here)


def test_a_comment_is_not_passed_on(world: MakeWorld) -> None:
    here = world()
    here.append(camera(until=5))
    here.say("unsure", alert_id="0" * 32, comment="Mrs. Miller again", author="op-1")
    settle(here)
    here.append([replace(one, id=f"{one.id}-2") for one in camera(until=12)[10:]])
    settle(here)
    (said,) = [said for one in here.observations() for said in _said(one)]
    assert said["author"] == "op-1"
    everything = b"".join(here.values("observations") + here.values("snapshots"))
    assert b"Miller" not in everything


def _said(one: Observation) -> list[dict[str, object]]:
    return json.loads(json.dumps([each.document() for each in one.heeded]))  # type: ignore[no-any-return]  # JSON
