from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.feed.media import write_sound, write_video
from worker.feed.inputs import open_inputs
from worker.feed.length import length_seconds


def length(*paths: Path, fps: float | None = None) -> float:
    return length_seconds(open_inputs(paths, fps=fps))


def test_a_file_is_as_long_as_its_container_says(tmp_path: Path) -> None:
    assert length(write_video(tmp_path / "a.mp4", [0] * 25, fps=10)) == pytest.approx(2.5)
    assert length(write_sound(tmp_path / "a.wav", 1.5)) == pytest.approx(1.5)


def test_the_longest_of_several_files_counts(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", [0] * 10, fps=10)
    sound = write_sound(tmp_path / "a.wav", 3)
    assert length(video, sound) == pytest.approx(3)


def test_images_last_until_a_second_after_the_last_one(tmp_path: Path) -> None:
    for number in range(5):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number}.png")
    assert length(tmp_path, fps=2) == pytest.approx(2 + 1)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "start_s,text\n0,A dog.\n4.5,A cat.\n"),
        ("a.srt", "1\n00:00:04,500 --> 00:00:05,000\nA cat.\n"),
        ("a.vtt", "WEBVTT\n\n00:04.500 --> 00:05.000\nA cat.\n"),
    ],
)
def test_captions_last_until_a_second_after_the_beginning_of_the_last_one(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    assert length(tmp_path / name) == pytest.approx(4.5 + 1)


def test_nothing_to_play_takes_no_time() -> None:
    assert length_seconds([]) == 0
