from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.feed.media import (
    SECOND,
    tone,
    write_recording_with_gap,
    write_sound,
    write_video,
)
from worker.errors import OperatorError
from worker.feed import audio
from worker.feed.audio import Waveform


def read(payload: bytes) -> Waveform:
    samples, rate = soundfile.read(io.BytesIO(payload), dtype="float32")
    assert rate == 16_000
    return np.asarray(samples, np.float32)


def test_a_file_becomes_clips_of_a_second_and_a_shorter_rest(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", 2.5)
    made = [(offset, read(payload)) for offset, payload in audio.clips(path)]
    assert [offset for offset, _ in made] == [0, SECOND, 2 * SECOND]
    assert [len(samples) for _, samples in made] == [16_000, 16_000, 8_000]
    joined = np.concatenate([samples for _, samples in made])
    assert np.abs(joined - tone(2.5)).max() < 2 / 32768


def test_clips_are_flac(tmp_path: Path) -> None:
    [(_, payload)] = audio.clips(write_sound(tmp_path / "a.wav", 1))
    info = soundfile.info(io.BytesIO(payload))
    assert (info.format, info.subtype, info.channels) == ("FLAC", "PCM_16", 1)


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.mp3"])
def test_other_formats_rates_and_channels_become_mono_at_16_khz(tmp_path: Path, name: str) -> None:
    path = write_sound(tmp_path / name, 1.5, rate=44_100, channels=2)
    samples = np.concatenate([clip for _, clip in audio.decode(path)])
    assert abs(len(samples) - 24_000) < 1_200  # MP3 adds padding
    middle = samples[4_000:20_000]
    assert abs(float(np.sqrt(np.mean(middle**2))) - 0.5 / np.sqrt(2)) < 0.01
    spectrum = np.abs(np.fft.rfft(middle))
    assert int(spectrum.argmax()) == 440  # one bin is one hertz


def test_the_audio_track_of_a_video_is_read(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [0] * 20, tone_seconds=2)
    made = list(audio.decode(path))
    assert [offset for offset, _ in made][:2] == [0, SECOND]
    assert abs(float(np.abs(made[0][1][4_000:]).max()) - 0.5) < 0.05


def test_a_gap_in_the_recording_keeps_later_clips_at_their_time(tmp_path: Path) -> None:
    path = write_recording_with_gap(tmp_path / "a.mkv", before_s=1, gap_s=3, after_s=2)
    made = list(audio.decode(path, 0.8))
    offsets = np.array([offset for offset, _ in made]) / SECOND
    assert np.abs(offsets - [0, 0.8, 4.0, 4.8, 5.6]).max() < 0.005
    assert sum(len(samples) for _, samples in made) == 3 * 16_000


def test_equal_channels_keep_their_level(tmp_path: Path) -> None:
    path = write_recording_with_gap(tmp_path / "a.mkv", before_s=1, gap_s=0, after_s=0)
    samples = np.concatenate([clip for _, clip in audio.decode(path)])
    assert np.abs(samples[100:-100] - 0.25).max() < 0.001


def test_clips_have_the_length_asked_for(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", 1)
    assert [offset for offset, _ in audio.clips(path, 0.25)] == [0, 250_000, 500_000, 750_000]


def test_values_beyond_full_scale_are_clipped_not_wrapped() -> None:
    samples = read(audio.encode_flac(np.array([2.0, -2.0, 0.5], np.float32)))
    assert samples == pytest.approx([1, -1, 0.5], abs=1e-4)


@pytest.mark.parametrize("content", [b"", b"RIFF\x00\x00\x00\x00WAVE", b"nothing of the kind" * 99])
def test_a_damaged_file_is_an_operator_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.wav").write_bytes(content)
    with pytest.raises(OperatorError, match=r"bad\.wav"):
        list(audio.clips(tmp_path / "bad.wav"))


def test_a_video_without_sound_is_an_operator_error(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [0])
    with pytest.raises(OperatorError, match="has no audio track"):
        next(audio.clips(path))


@pytest.mark.parametrize("length", [0, -1, 1e-9])
def test_an_impossible_length_is_refused(tmp_path: Path, length: float) -> None:
    with pytest.raises(OperatorError, match="give a length above 0"):
        next(audio.clips(tmp_path / "a.wav", length))
