"""What is said in a Moment: where it speaks, how it is marked, remembered, judged, recovered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.models.test_speech import WORDS
from tests.models.tiny import write_transformers
from tests.runtime.builders import (
    HashEncoder,
    Member,
    World,
    config,
    encoders,
    event,
    footage,
    hum,
    in_time_order,
    picture,
)
from tests.runtime.test_inference import Remembering
from tests.runtime.test_recovery import interrupted, uninterrupted
from tests.test_pipeline import moment_of
from worker.adapters.prometheus import Metrics
from worker.core.events import Modality
from worker.core.messages import Observation, read_alert
from worker.core.moment import Derived, Effort
from worker.feed.events import FeedEvent
from worker.pipeline import Pipeline
from worker.runtime.assemble import build_pipeline
from worker.runtime.hearing import Hearing
from worker.scoring.memory import DERIVED
from worker.stages import Prepared

LOUD, STILL = hum(99), picture(7)
TEXT = "text"  # the feature, and the expert on it
HELP = Derived(Modality.CAPTION, Modality.AUDIO, "help me")


@dataclass
class Listener:
    """Hears `words` in whatever is as loud as LOUD; keeps count of what it recognised."""

    words: str = HELP.text
    name: str = "listener"
    digest: str = "listener"
    fails: bool = False
    heard: list[int] = field(default_factory=list)

    def spoken(self, clip: NDArray[np.float32]) -> NDArray[np.float32] | None:
        return clip if np.abs(clip).max() > 0.15 else None

    def text(self, speech: NDArray[np.float32]) -> str:
        self.heard.append(len(speech))
        if self.fails:
            raise RuntimeError("it does not understand that")
        return self.words


def told(*events: FeedEvent, speech: Listener | None = None) -> tuple[Pipeline, Prepared]:
    """Return a pipeline and what it makes of a Moment, speech heard."""
    pipeline = build_pipeline(config(), encoders(), speech=speech or Listener())
    hearing = Hearing(pipeline, None, Metrics(()))
    (heard,) = hearing.heard([pipeline.prepare(moment_of(*events))])
    return pipeline, heard


def text_of(pipeline: Pipeline, prepared: Prepared) -> dict[str, NDArray[np.float16]]:
    vectors = {
        key: vector
        for modality, contents in pipeline.wanted([prepared]).items()
        for key, vector in pipeline.encode(modality, contents).items()
    }
    (embedded,) = pipeline.fuse([prepared], vectors)
    return {name: embedded.features[name] for name in (TEXT, DERIVED)}


def encoded(*texts: str) -> NDArray[np.float32]:
    rows = HashEncoder(Modality.CAPTION).encode(texts).astype(np.float32)
    mean: NDArray[np.float32] = rows.sum(axis=0)
    return mean / np.linalg.norm(mean)


def speech(at: float, **changes: str) -> FeedEvent:
    return event("audio", at, payload=LOUD, **changes)


def test_what_is_said_is_a_caption_where_none_is_written() -> None:
    pipeline, prepared = told(event("frame", 0), speech(0.1))
    assert prepared.moment.derived == (HELP,)
    assert prepared.moment.derived_modalities == (Modality.CAPTION,)
    assert prepared.moment.missing == (Modality.CAPTION,)
    features = text_of(pipeline, prepared)
    assert features[TEXT].astype(np.float32) == pytest.approx(encoded("help me"), abs=1e-3)
    assert features[DERIVED].tolist() == [1.0]


def test_it_speaks_beside_a_written_caption_with_equal_weight() -> None:
    written = event("caption", 0.2, payload=b"a quiet street")
    pipeline, prepared = told(speech(0.1), written)
    assert prepared.moment.present == (Modality.CAPTION, Modality.AUDIO)
    features = text_of(pipeline, prepared)
    both = encoded("a quiet street", "help me")
    assert features[TEXT].astype(np.float32) == pytest.approx(both, abs=1e-3)
    assert features[DERIVED].tolist() == [0.5]


def test_a_carried_caption_steps_back_for_it() -> None:
    pipeline = build_pipeline(config(), encoders(), speech=Listener())
    moment = replace(moment_of(speech(0)), carried=moment_of(event("caption", 0)).events[0])
    plain = pipeline.prepare(moment)
    assert plain.moment.carried_modalities == (Modality.CAPTION,)
    prepared = pipeline.hear(plain, "help me")
    assert prepared.moment.carried_modalities == ()
    assert [item.content for item in prepared.items[Modality.CAPTION]] == ["help me"]


def test_where_nothing_is_understood_nothing_changes() -> None:
    speechless = Listener(words="")
    _, prepared = told(speech(0), speech=speechless)
    assert speechless.heard
    assert (prepared.moment.derived, prepared.degraded) == ((), ())
    assert Modality.CAPTION not in prepared.items


def test_a_recogniser_that_fails_costs_its_words_only() -> None:
    _, prepared = told(event("frame", 0), speech(0.1), speech=Listener(fails=True))
    assert prepared.degraded == ("speech:failed",)
    assert prepared.items.keys() == {Modality.FRAME, Modality.AUDIO}
    assert not prepared.moment.derived


def test_only_speech_is_recognised_and_only_with_time_to_spare() -> None:
    listener = Listener()
    _, prepared = told(event("audio", 0), speech=listener)
    assert prepared.speech is None
    pipeline = build_pipeline(config(), encoders(), speech=listener)
    for effort in Effort:
        one = pipeline.prepare(replace(moment_of(speech(0)), effort=effort))
        assert (one.speech is not None) is (effort is Effort.FULL)
    assert listener.heard == []


def test_a_clip_is_recognised_once_in_a_batch_and_not_again_with_a_cache() -> None:
    listener, cache = Listener(), Remembering()
    pipeline = build_pipeline(config(), encoders(), speech=listener)
    hearing = Hearing(pipeline, cache, Metrics(()))
    batch = [pipeline.prepare(moment_of(speech(second))) for second in range(3)]
    for _ in range(2):
        assert [one.moment.derived for one in hearing.heard(batch)] == [(HELP,)] * 3
    assert len(listener.heard) == 1
    assert len(cache.values) == 1
    later = build_pipeline(config(), encoders(), speech=replace(listener, digest="newer"))
    assert Hearing(later, cache, Metrics(())).heard([later.prepare(batch[0].moment)])
    assert len(listener.heard) == 2
    assert later.digest != pipeline.digest


@pytest.mark.parametrize("wrong", [b"", b"\0", b"lies" * 5, bytes(16) + b"lies", b"\xff" * 40])
def test_a_wrong_text_in_the_cache_changes_nothing_but_speed(wrong: bytes) -> None:
    listener, cache = Listener(), Remembering()
    pipeline = build_pipeline(config(), encoders(), speech=listener)
    hearing = Hearing(pipeline, cache, Metrics(()))
    prepared = [pipeline.prepare(moment_of(speech(0)))]
    hearing.heard(prepared)
    right = dict(cache.values)
    cache.spoil(wrong)
    assert [one.moment.derived for one in hearing.heard(prepared)] == [(HELP,)]
    assert cache.values == right


def test_a_failure_is_not_remembered() -> None:
    listener, cache = Listener(fails=True), Remembering()
    pipeline = build_pipeline(config(), encoders(), speech=listener)
    prepared = [pipeline.prepare(moment_of(speech(0)))]
    hearing = Hearing(pipeline, cache, Metrics(()))
    assert hearing.heard(prepared)[0].degraded
    listener.fails = False
    assert hearing.heard(prepared)[0].moment.derived == (HELP,)


def quiet(second: int) -> bytes:
    """Return a hum that is not quite the same in each second, so that p-values of LOUD are tiny."""
    return hum(second % 4)


def talk(until: int, loud: Sequence[int]) -> list[FeedEvent]:
    """Return a still picture and a hum per second; in those of `loud` somebody speaks."""
    return [
        event(kind, second, payload=payload, name=f"{kind}-{second}")
        for second in range(until)
        for kind, payload in (
            ("frame", STILL),
            ("audio", LOUD if second in loud else quiet(second)),
        )
    ]


@pytest.fixture
def world() -> Iterator[World]:
    made = World(
        config(scoring__calibration_moments=20, scoring__false_alarms_per_day=8640),
        speech=Listener(),
    )
    yield made
    made.close()


def through(world: World, events: Sequence[FeedEvent]) -> Member:
    member = world.join()
    world.append(events)
    member.run()
    return member


def stored(observation: Observation) -> dict[str, bytes]:
    return {name: value.tobytes() for name, value in observation.features.items()}


def by_second(observations: Sequence[Observation]) -> Mapping[int, Observation]:
    return {one.window_start // 1_000_000 % 1_000_000: one for one in observations}


def test_observations_and_alerts_mark_it_and_only_observations_say_it(world: World) -> None:
    member = through(world, talk(80, [40, 50, 60, 61, 62, 63]))
    heard = [one for one in world.observations() if one.derived]
    assert len(heard) == 6
    for one in heard:
        assert one.derived == (HELP,)
        assert one.modalities.derived == (Modality.CAPTION,)
        assert one.modalities.missing == (Modality.CAPTION,)
        assert not any(each.modality is Modality.CAPTION for each in one.inputs)
    alerts = list(map(read_alert, world.values(world.settings.topics.alerts)))
    marked = [one for one in alerts if one.explanation and one.explanation.derived]
    assert marked
    assert all(one.explanation.derived == (Modality.CAPTION,) for one in marked if one.explanation)
    assert b"help" not in b"".join(world.values(world.settings.topics.alerts))
    counts = {
        outcome: member.metric("speech_moments_total", outcome=outcome)
        for outcome in ("none", "text", "empty", "failed")
    }
    assert counts["text"] == 6
    assert counts["none"] > 60
    assert counts["empty"] == counts["failed"] == 0


def test_what_was_said_is_not_carried_on(world: World) -> None:
    """The Moments after it carry the judgement of the written caption before it."""
    written = b"a quiet street"
    captions = [event("caption", second + 0.5, payload=written) for second in range(0, 40, 4)]
    through(world, in_time_order(talk(44, [38]), captions))
    found = by_second(world.observations())
    first = min(found)
    said, before, after = (found[first + second] for second in (38, 37, 39))
    assert said.derived
    assert before.modalities.carried == after.modalities.carried == (Modality.CAPTION,)
    assert before.raw_scores[TEXT] == after.raw_scores[TEXT] != said.raw_scores[TEXT]


def test_without_speech_nothing_is_different() -> None:
    plain, deaf = World(config()), World(config(), speech=Listener(words="", digest="deaf"))
    events = footage(20)
    for here in (plain, deaf):
        through(here, events)
    for one, other in zip(plain.observations(), deaf.observations(), strict=True):
        assert stored(one) == stored(other)
        assert one.embedding.tobytes() == other.embedding.tobytes()
        assert one.assessment == other.assessment
        assert (one.modalities, one.derived) == (other.modalities, ())
    for here in (plain, deaf):
        here.close()


def test_real_words_come_through_a_real_recogniser(tmp_path: Path) -> None:
    """The recogniser is a random one: what it says makes no sense, but is the same each time."""
    name = write_transformers("whisper", tmp_path)
    spoken = replace(event("audio", 0.1), content_type="audio/ogg", payload=WORDS.read_bytes())
    found = []
    for _ in range(2):
        here = World(config(models__speech=name))
        member = through(here, [event("frame", 0), spoken, event("audio", 1)])
        here.fall_silent()
        member.run()
        member.leave()
        found.append(here.observations())
        here.close()
    one, other = found
    assert [bool(each.derived) for each in one] == [True, False]
    assert one[0].derived == other[0].derived
    assert stored(one[0]) == stored(other[0])


@pytest.mark.parametrize("crashes", [{50, 90, 131}, {100, 140}])
def test_a_crash_changes_nothing_that_is_written(crashes: set[int]) -> None:
    captions = [event("caption", second + 0.5, name=f"c{second}") for second in range(0, 60, 7)]
    events = in_time_order(talk(60, [5, 20, 21, 30, 44, 50, 51, 52]), captions)
    worlds = [World(config(scoring__calibration_moments=20), speech=Listener()) for _ in range(2)]
    first, second = worlds
    assert interrupted(second, events, crashes) == uninterrupted(first, events)
    assert any(one.derived for one in first.observations())
    for here in worlds:
        here.close()
