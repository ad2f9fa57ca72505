from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from tests.feed.media import SECOND, write_sound, write_video
from worker.demo.scene import PLAZA
from worker.errors import OperatorError
from worker.feed import video


def test_all_frames_come_with_their_offset_and_content(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [0, 100, 200], fps=10)
    decoded = [(offset, simplejpeg.decode_jpeg(jpeg)) for offset, jpeg in video.frames(path)]
    assert [offset for offset, _ in decoded] == [0, 100_000, 200_000]
    assert [image.shape for _, image in decoded] == [(48, 64, 3)] * 3
    for (_, image), shade in zip(decoded, [0, 100, 200], strict=True):
        assert abs(float(image[30:, 40:].mean()) - shade) < 10


@pytest.mark.parametrize(
    ("fps", "expected"), [(30, 30), (15, 15), (10, 10), (7, 7), (1, 1), (99, 30)]
)
def test_the_rate_is_an_upper_bound(tmp_path: Path, fps: float, expected: int) -> None:
    path = write_video(tmp_path / "a.mp4", [0] * 30, fps=30)
    offsets = [offset for offset, _ in video.frames(path, fps=fps)]
    assert len(offsets) == expected
    assert offsets[0] == 0


def test_a_lower_rate_takes_evenly_spaced_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [0] * 30, fps=30)
    assert [offset for offset, _ in video.frames(path, fps=10)] == list(range(0, SECOND, 100_000))


def test_asking_for_the_rate_of_the_file_keeps_all_where_timestamps_are_rounded_to_milliseconds(
    tmp_path: Path,
) -> None:
    path = write_video(tmp_path / "a.mkv", [0] * 30, fps=30)
    assert len(list(video.frames(path, fps=30))) == 30


def test_a_crop_shows_that_part_only(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [0])
    [(_, white)] = video.frames(path, crop=(0, 0, 30, 20))
    [(_, black)] = video.frames(path, crop=(34, 26, 30, 20))
    assert simplejpeg.decode_jpeg(white).shape == (20, 30, 3)
    assert simplejpeg.decode_jpeg(white).mean() > 240
    assert simplejpeg.decode_jpeg(black).mean() < 15


@pytest.mark.parametrize("crop", [(0, 0, 65, 48), (-1, 0, 10, 10), (0, 0, 0, 10), (60, 40, 8, 8)])
def test_a_crop_that_leaves_the_picture_is_refused(
    tmp_path: Path, crop: tuple[int, int, int, int]
) -> None:
    path = write_video(tmp_path / "a.mp4", [0])
    with pytest.raises(OperatorError, match="not inside the picture, 64 x 48"):
        next(video.frames(path, crop=crop))


def test_a_recording_held_sideways_is_turned_upright(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [0], rotation=90)  # counter-clockwise
    [(_, image)] = video.decode(path)
    assert image.shape == (64, 48, 3)
    lower_left, upper_left = image[40:, :20], image[:24, :20]
    assert lower_left.mean() > 240
    assert upper_left.mean() < 15


@pytest.mark.parametrize("content", [b"", b"junk" * 1000, b"\x00\x00\x00\x18ftypmp42"])
def test_a_damaged_file_is_an_operator_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    with pytest.raises(OperatorError, match=r"Cannot read .*bad\.mp4 as video"):
        list(video.frames(path))


def test_damage_in_the_middle_is_an_operator_error_after_the_frames_before_it(
    tmp_path: Path,
) -> None:
    content = bytearray((PLAZA / "video.mp4").read_bytes())
    noise = np.random.default_rng(0).integers(0, 256, 200_000, dtype=np.uint8)
    content[300_000:500_000] = noise.tobytes()
    (tmp_path / "a.mp4").write_bytes(content)
    seen = 0
    with pytest.raises(OperatorError, match="check that the file is whole"):
        for _ in video.frames(tmp_path / "a.mp4", fps=1):
            seen += 1
    assert seen > 0


def test_a_missing_file_is_an_operator_error(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="No such file"):
        next(video.frames(tmp_path / "none.mp4"))


def test_a_file_without_pictures_is_an_operator_error(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", 0.1)
    with pytest.raises(OperatorError, match="has no video track"):
        next(video.frames(path))


@pytest.mark.parametrize("fps", [0, -1, float("nan")])
def test_an_impossible_rate_is_refused(tmp_path: Path, fps: float) -> None:
    with pytest.raises(OperatorError, match="give one above 0"):
        next(video.frames(tmp_path / "a.mp4", fps=fps))
