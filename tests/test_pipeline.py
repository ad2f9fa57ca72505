"""From a Moment to its embedding and features: what is decoded, encoded, rejected and named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray

from tests.runtime.builders import (
    HashEncoder,
    config,
    encoders,
    event,
    footage,
    hum,
    in_time_order,
    picture,
)
from tests.runtime.test_shard import Desk
from worker import pipeline as pipeline_module
from worker.core.events import ContentType, Event, Modality
from worker.core.moment import Effort, Moment
from worker.core.references import References
from worker.core.rfc3339 import seconds
from worker.errors import Reason
from worker.feed.events import FeedEvent
from worker.media import gathering
from worker.media.decode import decode
from worker.media.images import check_image
from worker.media.limits import Limits
from worker.models import logmel
from worker.models.logmel import LogMelEncoder, log_mels
from worker.pipeline import Pipeline
from worker.runtime.assemble import build_pipeline
from worker.stages import Embedded, Prepared


def moment_of(*events: FeedEvent) -> Moment:
    desk = Desk()
    desk.read(in_time_order(events), appended=9)
    return desk.moments()[0]


def pipeline(**changes: object) -> Pipeline:
    return build_pipeline(config(**changes), encoders())


def frames(count: int) -> list[FeedEvent]:
    return [event("frame", place / 20, payload=picture(place)) for place in range(count)]


def test_only_the_chosen_frames_are_encoded_and_evenly_spread() -> None:
    prepared = pipeline(models__frames_per_moment=2).prepare(moment_of(*frames(8)))
    assert len(prepared.items[Modality.FRAME]) == 2
    shades = [int(item.content[0, 0, 0]) for item in prepared.items[Modality.FRAME]]
    assert shades == [2, 6]
    assert len(prepared.moment.events) == 8


@pytest.mark.parametrize(("reuse", "encoded"), [("auto", 2), ("off", 6)])
def test_frames_that_show_nothing_new_share_an_item_and_count_as_often(
    reuse: str, encoded: int
) -> None:
    payloads = [picture(shade) + bytes([take]) for shade in (50, 90) for take in range(3)]
    events = [event("frame", place / 20, payload=each) for place, each in enumerate(payloads)]
    one = pipeline(models__reuse=reuse, models__frames_per_moment=6)
    prepared = one.prepare(moment_of(*events))
    assert len(prepared.items[Modality.FRAME]) == 6
    assert len(one.wanted([prepared])[Modality.FRAME]) == encoded
    shades = [int(item.content[0, 0, 0]) for item in prepared.items[Modality.FRAME]]
    assert shades == [50, 50, 50, 90, 90, 90]


def worked_on(one: Pipeline, moment: Moment, references: References) -> Embedded:
    """Let a Moment pass all stages."""
    prepared = one.complete(one.choose(one.look(moment, references), references))
    vectors = references.vectors(moment.source)
    for modality, contents in one.wanted([prepared]).items():
        vectors |= one.encode(modality, contents)
    (embedded,) = one.fuse([prepared], vectors)
    references.keep(embedded.remembered)
    return embedded


def photograph(noise: int, quality: int = 95) -> bytes:
    """Return a JPEG of one scene; one pixel of it is brighter by so many levels."""
    scene = np.random.default_rng(0).integers(0, 255, (24, 32, 3)).astype(np.uint8)
    pixels = np.kron(scene, np.ones((16, 16, 1), np.uint8))
    pixels[100, 100] += np.uint8(noise)
    return bytes(simplejpeg.encode_jpeg(pixels, quality))


def test_a_frame_takes_over_the_embedding_of_one_in_an_earlier_moment() -> None:
    one, references, encoder = pipeline(), References(seconds(10)), HashEncoder(Modality.FRAME)
    one.encoders[Modality.FRAME] = encoder  # type: ignore[index]  # to count
    found = []
    for second in range(3):
        frame = event("frame", second, payload=photograph(second))
        moment = moment_of(replace(frame, content_type="image/jpeg"))
        found.append(worked_on(one, moment, references))
    assert [each.reused for each in found] == [0, 1, 1]
    assert encoder.encoded == 1
    assert found[0].features["visual"].tobytes() == found[2].features["visual"].tobytes()
    assert not any(each.degraded for each in found)


@pytest.mark.parametrize("is_trial", [True, False])
def test_what_is_tried_or_sent_again_neither_knows_references_nor_changes_them(
    is_trial: bool,
) -> None:
    one, references = pipeline(), References(seconds(10))
    moment = moment_of(event("frame", 0, payload=picture(50)))
    apart = replace(moment, is_trial=is_trial, amends=not is_trial)
    assert not worked_on(one, apart, references).remembered
    assert worked_on(one, moment, references).remembered
    assert not worked_on(one, apart, references).reused
    assert worked_on(one, moment, references).reused


def test_the_same_bytes_are_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []

    def counting(event: Event, *rest: Any) -> Any:
        decoded.append(event)
        return decode(event, *rest)

    monkeypatch.setattr(gathering, "decode", counting)
    one, references = pipeline(), References(seconds(10))
    for second in (0, 4):
        shown = [event("frame", second + n / 4, payload=picture(50)) for n in range(4)]
        embedded = worked_on(one, moment_of(*shown), references)
        assert {"luminance", "sharpness", "motion", "visual"} <= embedded.features.keys()
    assert len(decoded) == 1


def test_the_spectrum_of_a_moment_s_sound_is_found_once_for_experts_and_encoder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = []

    def counting(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        found.append(waveform.size)
        return log_mels(waveform)

    for module in (logmel, pipeline_module):
        monkeypatch.setattr(module, "log_mels", counting)
    one = build_pipeline(config(), encoders(audio=LogMelEncoder()))
    clips = [event("audio", place / 5, payload=hum(place)) for place in range(3)]
    embedded = worked_on(one, moment_of(*clips), References(seconds(10)))
    assert {"audio_windows", "fused"} <= embedded.features.keys()
    assert len(found) == 1


@pytest.mark.parametrize(
    ("effort", "decoded", "encoded", "heard"),
    [
        ("full", 5, 5, True),
        ("fewer_frames", 3, 3, True),
        ("one_frame", 1, 1, True),
        ("no_frame_encoder", 1, 0, True),
        ("no_picture", 0, 0, True),
        ("caption_alone", 0, 0, False),
    ],
)
def test_less_effort_leaves_pictures_out_then_sound_and_keeps_the_caption(
    effort: str, decoded: int, encoded: int, heard: bool
) -> None:
    events = [*frames(8), event("audio", 0), event("caption", 0)]
    one = pipeline(models__frames_per_moment=5)
    prepared = one.prepare(replace(moment_of(*events), effort=Effort(effort)))
    assert len(prepared.items.get(Modality.FRAME, ())) == encoded
    assert ("luminance" in prepared.features) is (decoded > 0)
    assert ("motion" in prepared.features) is (decoded > 1)
    assert (Modality.AUDIO in prepared.items) is ("audio_windows" in prepared.features) is heard
    assert Modality.CAPTION in prepared.items
    assert len(prepared.moment.events) == 10
    vectors = {
        key: vector
        for modality, contents in one.wanted([prepared]).items()
        for key, vector in one.encode(modality, contents).items()
    }
    (embedded,) = one.fuse([prepared], vectors)
    assert ("visual" in embedded.features) is (encoded > 0)
    assert "fused" in embedded.features


def test_of_the_other_frames_only_the_header_is_checked() -> None:
    cut = picture(1)[:60]  # a good header, no pixels
    assert check_image(cut, ContentType("image/png"), Limits()) == (16, 12)
    few = frames(5)
    few[0] = replace(few[0], payload=cut)
    few[1] = replace(few[1], payload=b"no picture")
    prepared = pipeline(models__frames_per_moment=1).prepare(moment_of(*few))
    assert [one.reason for one in prepared.rejected] == [Reason.UNDECODABLE_IMAGE]
    assert [one.event.payload for one in prepared.rejected] == [b"no picture"]
    assert len(prepared.moment.events) == 4


def test_another_frame_is_taken_where_all_chosen_ones_are_broken() -> None:
    few = frames(3)
    few[1] = replace(few[1], payload=b"no picture")
    prepared = pipeline(models__frames_per_moment=1).prepare(moment_of(*few))
    (item,) = prepared.items[Modality.FRAME]
    assert int(item.content[0, 0, 0]) == 0
    assert len(prepared.rejected) == 1


def test_clips_are_joined_until_the_longest_that_is_allowed_and_the_rest_is_only_checked() -> None:
    clips = [event("audio", place / 10, payload=hum(place)) for place in range(9)]  # 0.1 s each
    broken = event("audio", 0.95, payload=b"\0")
    whole = pipeline().prepare(moment_of(*clips, broken))
    assert len(whole.features["audio_windows"]) == 4  # quarters of a second, and what is left
    assert [one.reason for one in whole.rejected] == [Reason.UNDECODABLE_AUDIO]
    long = [event("audio", place / 10, payload=hum(1) * 4) for place in range(9)]
    bounded = pipeline(limits__max_audio_seconds=0.5).prepare(moment_of(*long, broken))
    assert len(bounded.features["audio_windows"]) == 5  # of three clips: they fill a second
    assert len(bounded.rejected) == 1
    assert len(bounded.moment.events) == 9


def test_the_newest_caption_speaks_and_a_broken_one_leaves_it_to_the_one_before() -> None:
    captions = [event("caption", t, payload=text) for t, text in ((0.1, b"old"), (0.5, b"new"))]
    both = pipeline().prepare(moment_of(event("frame", 0), *captions))
    assert both.items[Modality.CAPTION][0].content == "new"
    captions[1] = replace(captions[1], payload=b"\xff")
    older = pipeline().prepare(moment_of(event("frame", 0), *captions))
    assert older.items[Modality.CAPTION][0].content == "old"
    assert [one.reason for one in older.rejected] == [Reason.UNDECODABLE_TEXT]


def test_a_carried_caption_that_is_broken_is_left_out_but_rejected_elsewhere() -> None:
    desk = Desk()
    desk.read([*footage(2, captions=False), event("caption", 0.5, payload=b"\xff")], appended=9)
    first, second = desk.moments()
    assert len(pipeline().prepare(first).rejected) == 1
    assert second.carried is not None
    prepared = pipeline().prepare(second)
    assert not prepared.rejected
    assert prepared.moment.missing == (Modality.CAPTION,)


def fused(one: Pipeline, batch: list[Prepared]) -> list[bytes]:
    vectors = {
        key: vector
        for modality, contents in one.wanted(batch).items()
        for key, vector in one.encode(modality, contents).items()
    }
    return [
        embedded.fused.tobytes() + b"".join(map(np.ndarray.tobytes, embedded.features.values()))
        for embedded in one.fuse(batch, vectors)
    ]


def test_a_moment_is_embedded_the_same_alone_and_in_a_batch() -> None:
    one, desk = pipeline(models__frames_per_moment=1), Desk()
    desk.read(footage(12))
    batch = [one.prepare(moment) for moment in desk.moments()]
    assert fused(one, batch) == [fused(one, [prepared])[0] for prepared in batch]


def test_a_moment_without_media_is_embedded_as_nothing() -> None:
    one = pipeline()
    prepared = one.prepare(moment_of(event("frame", 0, payload=b"no picture")))
    (embedded,) = one.fuse([prepared], {})
    assert not embedded.features
    assert not embedded.fused.any()
    assert one.fuse([], {}) == []


def test_features_are_float16_and_named_by_what_is_there() -> None:
    one = pipeline()
    prepared = [one.prepare(moment_of(*footage(1)))]
    vectors = {
        key: vector
        for modality, contents in one.wanted(prepared).items()
        for key, vector in one.encode(modality, contents).items()
    }
    (embedded,) = one.fuse(prepared, vectors)
    assert set(embedded.features) == {
        *("luminance", "sharpness", "visual", "audio_windows"),
        *("text", "text_danger", "fused"),
    }
    assert {value.dtype for value in embedded.features.values()} == {np.dtype(np.float16)}
    assert sum(embedded.weights.values()) == pytest.approx(1)


def test_frames_are_seen_as_their_mean_and_by_how_they_differ() -> None:
    one, two = (pipeline().prepare(moment_of(*frames(count))) for count in (1, 2))
    assert "motion" not in one.features
    assert two.features["motion"].shape == (1,)
    assert two.features["luminance"].mean() == pytest.approx(
        one.features["luminance"].mean() + 0.5, abs=0.5
    )


def test_equal_content_has_an_equal_key_only_for_the_same_encoder_and_type() -> None:
    class Newer(HashEncoder):
        def __init__(self, modality: Modality) -> None:
            super().__init__(modality)
            self.digest = "another"

    moment = moment_of(event("frame", 0, payload=picture(7)))

    def key(one: Pipeline) -> bytes:
        return one.prepare(moment).items[Modality.FRAME][0].key

    assert key(pipeline()) == key(pipeline())
    newer = build_pipeline(config(), encoders(frame=Newer(Modality.FRAME)))
    assert key(pipeline()) != key(newer)
    assert pipeline().digest != newer.digest


def test_the_key_depends_on_what_the_type_says_and_not_on_how_it_is_written() -> None:
    sound = event("audio", 0)

    def key(content_type: str) -> bytes:
        moment = moment_of(replace(sound, content_type=content_type, payload=bytes(32_000)))
        return pipeline().prepare(moment).items[Modality.AUDIO][0].key

    assert key("audio/L16;rate=16000;channels=1") == key("audio/l16; Channels=1; rate=16000")
    assert key("audio/L16;rate=16000;channels=1") != key("audio/L16;rate=8000;channels=1")
