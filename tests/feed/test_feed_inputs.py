from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from tests.feed.media import SECOND, START, write_sound, write_video
from worker.core.events import Modality
from worker.errors import OperatorError
from worker.feed.inputs import Stream, merge, open_inputs


def write_srt(path: Path, *seconds: int) -> Path:
    cues = [f"{n}\n00:00:0{s},000 --> 00:00:09,000\nText {n}\n" for n, s in enumerate(seconds)]
    path.write_text("\n".join(cues))
    return path


def write_images(directory: Path, *names: str) -> Path:
    directory.mkdir()
    for shade, name in enumerate(names):
        picture = np.full((8, 8, 3), 20 * shade, np.uint8)
        (directory / name).write_bytes(simplejpeg.encode_jpeg(picture))
    return directory


def named(streams: list[Stream]) -> list[tuple[str, Modality, str]]:
    return sorted((s.source, s.modality, s.path.name) for s in streams)


def test_files_with_the_same_stem_belong_to_one_source(tmp_path: Path) -> None:
    video = write_video(tmp_path / "cam1.mp4", [0] * 5)
    sound = write_sound(tmp_path / "cam1.wav", 1)
    text = write_srt(tmp_path / "cam1.srt", 0)
    assert named(open_inputs([video, sound, text])) == [
        ("cam1", Modality.AUDIO, "cam1.wav"),
        ("cam1", Modality.CAPTION, "cam1.srt"),
        ("cam1", Modality.FRAME, "cam1.mp4"),
    ]


def test_the_audio_track_of_a_video_is_a_stream(tmp_path: Path) -> None:
    video = write_video(tmp_path / "cam1.mp4", [0] * 10, tone_seconds=1)
    assert named(open_inputs([video])) == [
        ("cam1", Modality.AUDIO, "cam1.mp4"),
        ("cam1", Modality.FRAME, "cam1.mp4"),
    ]


def test_an_audio_file_of_the_source_replaces_the_track_of_its_video_only(tmp_path: Path) -> None:
    first = write_video(tmp_path / "cam1.mp4", [0] * 10, tone_seconds=1)
    second = write_video(tmp_path / "cam2.mp4", [0] * 10, tone_seconds=1)
    sound = write_sound(tmp_path / "cam1.flac", 1)
    streams = [s for s in open_inputs([first, second, sound]) if s.modality is Modality.AUDIO]
    assert named(streams) == [
        ("cam1", Modality.AUDIO, "cam1.flac"),
        ("cam2", Modality.AUDIO, "cam2.mp4"),
    ]


def test_an_asked_source_holds_for_all_but_captions_that_name_theirs(tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "a.wav", 1)
    text = tmp_path / "b.csv"
    text.write_text("start_s,text,source\n0,x,\n1,y,gate\n")
    assert named(open_inputs([sound, text], source="door")) == [
        ("door", Modality.AUDIO, "a.wav"),
        ("door", Modality.CAPTION, "b.csv"),
        ("gate", Modality.CAPTION, "b.csv"),
    ]


def test_merged_events_are_in_order_of_time_with_unique_ids(tmp_path: Path) -> None:
    paths = [
        write_video(tmp_path / "cam1.mp4", [0] * 20, tone_seconds=2),
        write_srt(tmp_path / "cam1.srt", 1, 1, 0),
        write_video(tmp_path / "cam2.avi", [0] * 20),
    ]
    events = list(merge(open_inputs(paths), START))
    times = [event.time for event in events]
    assert times == sorted(times)
    assert times[0] == START
    counted = Counter((event.source, event.modality) for event in events)
    assert counted[("cam1", Modality.FRAME)] == counted[("cam2", Modality.FRAME)] == 20
    assert counted[("cam1", Modality.CAPTION)] == 3
    assert counted[("cam1", Modality.AUDIO)] in (2, 3)  # AAC pads its last block
    assert len({(event.source, event.id) for event in events}) == len(events)


def test_the_same_files_give_the_same_events_again(tmp_path: Path) -> None:
    paths = [write_video(tmp_path / "a.mp4", [9] * 5), write_sound(tmp_path / "a.wav", 1)]
    streams = open_inputs(paths)
    assert list(merge(streams, START)) == list(merge(streams, START))


def test_rates_and_lengths_reach_the_readers(tmp_path: Path) -> None:
    paths = [write_video(tmp_path / "a.mp4", [9] * 20), write_sound(tmp_path / "a.wav", 2)]
    events = merge(open_inputs(paths, fps=5, clip_seconds=0.5), START)
    counted = Counter(event.modality for event in events)
    assert counted == {Modality.FRAME: 10, Modality.AUDIO: 4}


def test_images_go_out_as_they_are_by_name_with_numbers_as_numbers(tmp_path: Path) -> None:
    directory = write_images(tmp_path / "cam.1", "f10.jpg", "f2.jpeg", "f1.png", "f3.webp", "x.txt")
    events = list(merge(open_inputs([directory], fps=4), START))
    names = ["f1.png", "f2.jpeg", "f3.webp", "f10.jpg"]
    assert [event.payload for event in events] == [(directory / n).read_bytes() for n in names]
    types = [event.content_type for event in events]
    assert types == ["image/png", "image/jpeg", "image/webp", "image/jpeg"]
    assert [event.time - START for event in events] == [
        0,
        SECOND // 4,
        SECOND // 2,
        3 * SECOND // 4,
    ]
    assert {event.source for event in events} == {"cam.1"}


def test_images_need_a_rate(tmp_path: Path) -> None:
    directory = write_images(tmp_path / "cam1", "a.jpg")
    with pytest.raises(OperatorError, match="give one with --fps"):
        open_inputs([directory])


def test_a_directory_without_images_is_an_operator_error(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"holds no \.jpg, \.jpeg, \.png, \.webp file"):
        open_inputs([tmp_path], fps=1)


def test_an_unknown_kind_is_an_operator_error_that_lists_what_is_understood(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(OperatorError) as caught:
        open_inputs([tmp_path / "notes.txt"])
    assert all(word in str(caught.value) for word in ("notes.txt", ".mp4", ".wav", ".srt", ".png"))


def test_two_files_for_one_source_and_modality_are_refused(tmp_path: Path) -> None:
    first = write_sound(tmp_path / "a.wav", 1)
    second = write_sound(tmp_path / "a.flac", 1)
    for paths in ([first, second], [first, first]):
        with pytest.raises(OperatorError, match="both hold the audio events of 'a'"):
            open_inputs(paths)


@pytest.mark.parametrize("name", ["none.mp4", "none.srt", "none", "none.xyz"])
def test_a_missing_file_is_found_before_anything_is_sent(tmp_path: Path, name: str) -> None:
    with pytest.raises(OperatorError, match="There is no file or directory"):
        open_inputs([tmp_path / name])


@pytest.mark.parametrize("name", ["bad.mp4", "bad.wav", "bad.srt", "bad.jsonl"])
def test_an_unreadable_file_is_found_before_anything_is_sent(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\x00\xff\x00" * 50)
    with pytest.raises(OperatorError, match="bad"):
        open_inputs([tmp_path / name])


def test_a_file_whose_content_does_not_fit_its_name_is_an_operator_error(tmp_path: Path) -> None:
    write_sound(tmp_path / "a.wav", 1).rename(tmp_path / "a.mp4")
    write_video(tmp_path / "b.mp4", [0]).rename(tmp_path / "b.m4a")
    with pytest.raises(OperatorError, match="has no video track"):
        open_inputs([tmp_path / "a.mp4"])
    with pytest.raises(OperatorError, match="has no audio track"):
        open_inputs([tmp_path / "b.m4a"])
