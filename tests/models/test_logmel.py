from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers.audio_utils import mel_filter_bank

from worker.models.logmel import LogMelEncoder, log_mels, windows


def noise(samples: int) -> NDArray[np.float32]:
    return (np.random.default_rng(0).standard_normal(samples) * 0.1).astype(np.float32)


def test_log_mels_follow_the_htk_filters_of_another_library() -> None:
    filters = mel_filter_bank(257, 64, 0.0, 8_000.0, 16_000, norm=None, mel_scale="htk")
    spectrum = torch.stft(
        torch.from_numpy(noise(16_000)),
        512,
        hop_length=160,
        win_length=400,
        window=torch.hann_window(400),
        center=False,
        return_complex=True,
    )
    expected = np.log(spectrum.abs().numpy().T ** 2 @ filters + 1e-6)
    assert np.abs(log_mels(noise(16_000)) - expected).max() < 1e-3


@pytest.mark.parametrize(
    ("samples", "count"), [(1, 1), (3_999, 1), (4_000, 1), (4_031, 1), (4_032, 2), (16_000, 4)]
)
def test_a_clip_has_a_window_for_each_quarter_of_a_second(samples: int, count: int) -> None:
    result = windows(log_mels(noise(samples)))
    assert result.shape == (count, 128)
    assert result.dtype == np.float16
    assert np.isfinite(result).all()


def test_windows_of_a_steady_sound_are_alike_and_a_loud_one_stands_out() -> None:
    waveform = noise(16_000)
    waveform[8_000:12_000] *= 10
    level = windows(log_mels(waveform))[:, :64].astype(np.float64).mean(axis=1)
    assert level[2] - level[[0, 1, 3]].max() > 4
    assert np.ptp(level[[0, 1, 3]]) < 0.5


def test_the_end_of_a_clip_is_heard() -> None:
    waveform = np.zeros(5_000, np.float32)
    waveform[-500:] = 0.5 * np.sign(noise(500))
    assert windows(log_mels(waveform))[-1, 64:].max() > 1


def test_log_mels_stand_for_their_samples() -> None:
    clips = [noise(16_000), noise(3_000)]
    encoder = LogMelEncoder()
    heard, computed = encoder.encode(clips), encoder.encode(list(map(log_mels, clips)))
    assert heard.tobytes() == computed.tobytes()


def test_a_clip_without_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="has samples"):
        log_mels(np.zeros(0, np.float32))
