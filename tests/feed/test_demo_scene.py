from __future__ import annotations

import io
import shutil
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import soundfile
import yaml

from tests.feed.media import SECOND, START
from worker.core.events import Modality
from worker.demo import scene
from worker.demo.injections import mix
from worker.demo.scene import PLAZA, Scene
from worker.errors import OperatorError
from worker.feed.events import FeedEvent

CAMERAS = ("path-west", "road-east", "lawn", "road-south")
Key = tuple[str, Modality, float]


@pytest.fixture(scope="module")
def plaza() -> Scene:
    return scene.load()


@pytest.fixture(scope="module")
def played(plaza: Scene) -> list[FeedEvent]:
    """The whole scene."""
    return list(scene.events(plaza, START))


@pytest.fixture(scope="module")
def filmed(plaza: Scene) -> dict[Key, FeedEvent]:
    """The scene up to 75.5 s without injections."""
    return keyed(scene.events(plaza, START, until_s=75.5, inject=False))


def keyed(events: Iterable[FeedEvent]) -> dict[Key, FeedEvent]:
    return {(e.source, e.modality, (e.time - START) / SECOND): e for e in events}


def changed(
    played: list[FeedEvent], filmed: dict[Key, FeedEvent], modality: Modality
) -> dict[Key, FeedEvent]:
    """The played events of a modality whose payload is not as filmed."""
    before = {key: event for key, event in keyed(played).items() if key in filmed}
    return {
        key: event
        for key, event in before.items()
        if key[1] is modality and event.payload != filmed[key].payload
    }


def brightness(event: FeedEvent) -> float:
    return float(simplejpeg.decode_jpeg(event.payload).mean())


def sharpness(event: FeedEvent) -> float:
    picture = simplejpeg.decode_jpeg(event.payload).astype(np.float32)
    return float(np.abs(np.diff(picture, axis=1)).mean() / picture.mean())


def sound(event: FeedEvent) -> np.ndarray:
    samples, rate = soundfile.read(io.BytesIO(event.payload), dtype="float32")
    assert rate == 16_000
    return np.asarray(samples)


def test_each_camera_sends_what_the_scenario_leaves_it(played: list[FeedEvent]) -> None:
    counted = Counter((event.source, event.modality) for event in played)
    for camera in CAMERAS:
        source = f"/cameras/{camera}"
        assert counted[(source, Modality.FRAME)] == 795 - 30 * (camera == "path-west")
        assert counted[(source, Modality.AUDIO)] == 80 - 3 * (camera == "road-east")
        assert counted[(source, Modality.CAPTION)] == 16
    assert len(counted) == 12


def test_events_are_in_order_of_time_and_ids_unique_per_source(played: list[FeedEvent]) -> None:
    times = [event.time for event in played]
    assert times == sorted(times)
    assert (times[0], times[-1]) == (START, START + 79_400_000)
    assert len({(event.source, event.id) for event in played}) == len(played)


def test_a_dropout_takes_the_modality_away_and_nothing_else(played: list[FeedEvent]) -> None:
    by_key = keyed(played)
    frames = [at for source, m, at in by_key if (source, m) == ("/cameras/path-west", "frame")]
    assert 65.9 in frames
    assert not [at for at in frames if 66 <= at < 69]
    assert 69 in frames
    assert ("/cameras/path-west", Modality.AUDIO, 67) in by_key
    sounds = [at for source, m, at in by_key if (source, m) == ("/cameras/road-east", "audio")]
    assert [at for at in sounds if 28 <= at <= 34] == [28, 29, 33, 34]


def test_frames_are_the_crops_of_the_cameras(played: list[FeedEvent]) -> None:
    first = {e.source: e for e in played if e.modality is Modality.FRAME and e.time == START}
    assert set(first) == {f"/cameras/{camera}" for camera in CAMERAS}
    pictures = [simplejpeg.decode_jpeg(event.payload) for event in first.values()]
    assert [picture.shape for picture in pictures] == [(288, 384, 3)] * 4
    assert len({event.payload for event in first.values()}) == 4
    assert {event.content_type for event in first.values()} == {"image/jpeg"}


def test_the_covered_lens_is_dark_and_blurred_in_its_frames_only(
    played: list[FeedEvent], filmed: dict[Key, FeedEvent]
) -> None:
    covered = changed(played, filmed, Modality.FRAME)
    assert {source for source, _, _ in covered} == {"/cameras/path-west"}
    assert sorted(at for _, _, at in covered) == [(580 + n) / 10 for n in range(40)]
    for key, event in islice(covered.items(), 0, None, 10):
        assert 0.13 < brightness(event) / brightness(filmed[key]) < 0.17
        assert sharpness(event) < 0.3 * sharpness(filmed[key])


def test_the_explosion_is_heard_on_its_camera_for_its_three_seconds_only(
    played: list[FeedEvent], filmed: dict[Key, FeedEvent]
) -> None:
    loud = changed(played, filmed, Modality.AUDIO)
    assert sorted(loud) == [("/cameras/road-east", Modality.AUDIO, at) for at in (61, 62, 63)]
    boom, _ = soundfile.read(PLAZA / "audio/events/explosion.flac", dtype="float32")
    for key, event in loud.items():
        begin = int(key[2] - 61) * 16_000
        expected = np.clip(sound(filmed[key]) + boom[begin : begin + 16_000], -1, 1)
        assert np.abs(sound(event) - expected).max() < 3 / 32768


def test_one_caption_contradicts_the_scene(
    played: list[FeedEvent], filmed: dict[Key, FeedEvent]
) -> None:
    false = changed(played, filmed, Modality.CAPTION)
    assert list(false) == [("/cameras/road-south", Modality.CAPTION, 70)]
    [event] = false.values()
    assert event.payload == b"Thick black smoke and flames pour from a burning car."
    assert event.content_type == "text/plain; charset=utf-8"


def test_without_injections_dropouts_stay(filmed: dict[Key, FeedEvent]) -> None:
    assert ("/cameras/road-east", Modality.AUDIO, 31) not in filmed
    assert ("/cameras/path-west", Modality.FRAME, 67) not in filmed


def test_playing_a_part_gives_the_beginning_of_the_whole_byte_for_byte(
    plaza: Scene, played: list[FeedEvent]
) -> None:
    part = list(scene.events(plaza, START, until_s=2.5))
    assert part == [event for event in played if event.time < START + 2_500_000]


def test_events_are_made_when_they_are_asked_for(plaza: Scene) -> None:
    assert len(list(islice(scene.events(plaza, START), 12))) == 12


def test_the_scene_says_what_is_natural_and_what_is_injected(plaza: Scene) -> None:
    assert [camera.id for camera in plaza.cameras] == list(CAMERAS)
    assert [label.kind for label in plaza.labels if label.natural] == [
        "people_on_lawn",
        "people_on_grass",
        "people_on_grass",
    ]
    assert (plaza.calibration_end_s, plaza.video.duration_s) == (45, 79.5)
    assert all(label.natural for label in plaza.as_filmed().labels)


def test_mixing_adds_where_sounds_overlap_with_gain_and_clips() -> None:
    clip, boom = np.full(4, 0.5, np.float32), np.full(3, 0.25, np.float32)
    assert mix(clip, boom, 2, 0).tolist() == [0.5, 0.5, 0.75, 0.75]
    assert mix(clip, boom, -2, 0).tolist() == [0.75, 0.5, 0.5, 0.5]
    assert mix(clip, boom, 4, 0).tolist() == mix(clip, boom, -3, 0).tolist() == clip.tolist()
    assert mix(clip, boom, 0, 20).tolist() == [1, 1, 1, 0.5]
    assert clip.tolist() == [0.5] * 4


def test_the_licences_travel_with_the_data() -> None:
    text = (PLAZA / "LICENSES.md").read_text()
    for name in ("video.mp4", "audio/*.ogg", "audio/events/*.flac", "captions.csv"):
        assert name in text


def altered(directory: Path, **changes: object) -> Path:
    """Write the scenario of the plaza with changes at its top level; the media are left out."""
    raw = yaml.safe_load((PLAZA / "scenario.yaml").read_text())
    (directory / "scenario.yaml").write_text(yaml.safe_dump({**raw, **changes}))
    return directory


SPAN = {"camera": "lawn", "modality": "frame", "start_s": 1, "end_s": 2}
LABEL = {**SPAN, "kind": "x", "natural": True}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "colour: Unexpected keyword argument"),
        ({"cameras": []}, "cameras: "),
        ({"cameras": [{"id": "a", "crop": [0, 0, 9], "audio": "a.ogg"}]}, r"cameras\.0\.crop"),
        (
            {
                "cameras": [{"id": "a", "crop": [700, 0, 384, 288], "audio": ""}],
                "events": [],
                "dropouts": [],
            },
            "crop of camera a leaves the picture",
        ),
        ({"dropouts": [{**SPAN, "camera": "roof"}]}, "there is no camera 'roof'"),
        ({"dropouts": [{**SPAN, "end_s": 1}]}, r"end_s \(1\) must be after start_s \(1\)"),
        ({"dropouts": [{**SPAN, "modality": "smell"}]}, r"dropouts\.0\.modality"),
        ({"dropouts": [{**SPAN, "start_s": -1}]}, r"dropouts\.0\.start_s"),
        ({"events": [{**LABEL, "natural": False}]}, r"labels\.0: .*lens_covered"),
        ({"events": [{**LABEL, "natural": False, "modality": "audio"}]}, "mix"),
        ({"events": [{**LABEL, "natural": False, "modality": "caption"}]}, "text"),
    ],
)
def test_a_scenario_that_is_not_valid_is_an_operator_error_that_names_the_place(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(OperatorError, match=message):
        scene.load(altered(tmp_path, **changes))


@pytest.mark.parametrize("content", ["a: [", "just words", ""])
def test_a_scenario_that_is_no_mapping_is_an_operator_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "scenario.yaml").write_text(content)
    with pytest.raises(OperatorError, match=r"scenario\.yaml"):
        scene.load(tmp_path)


def test_a_missing_scenario_is_an_operator_error(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="No such file"):
        scene.load(tmp_path)


def test_a_missing_file_of_the_scene_is_an_operator_error(tmp_path: Path) -> None:
    directory = altered(tmp_path)
    shutil.copy(PLAZA / "captions.csv", directory)
    with pytest.raises(OperatorError, match=r"video\.mp4|lawn\.ogg"):
        list(scene.events(scene.load(directory), START, until_s=1))
