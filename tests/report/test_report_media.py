import base64
import io
import re

import numpy as np
import pytest
import soundfile
from PIL import Image

from tests.report.builders import jpeg, noise, tone
from worker.report import media
from worker.report.model import SAMPLE_RATE
from worker.report.spectrogram import MELS, log_mel, mel_position, spectrogram_png


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize("hertz", [300, 1000, 4000])
def test_a_tone_lights_up_the_row_of_its_frequency(hertz: int) -> None:
    pixels = np.asarray(opened(spectrogram_png(tone(hertz))).convert("L"), dtype=float)
    brightest = 1 - (pixels.mean(axis=1).argmax() + 0.5) / len(pixels)
    assert abs(brightest - mel_position(hertz)) < 0.03


def test_a_full_scale_sine_is_near_zero_decibels() -> None:
    assert abs(log_mel(tone(1000) * 2).max()) < 3


@pytest.mark.parametrize("samples", [1, 100, 16_000, 3_000_000])
def test_a_spectrogram_of_any_length_has_a_bounded_size(samples: int) -> None:
    image = opened(spectrogram_png(np.zeros(samples, np.float32)))
    assert image.format == "PNG"
    assert image.height == MELS
    assert image.width <= 901


def test_silence_stays_dark() -> None:
    quiet = noise(1) * 1e-6
    assert np.asarray(opened(spectrogram_png(quiet)).convert("RGB")).max() < 40


def test_samples_that_are_not_finite_count_as_silence() -> None:
    broken = np.full(16_000, np.nan, np.float32)
    assert np.isfinite(log_mel(broken)).all()
    assert not soundfile.read(io.BytesIO(media.flac(broken)))[0].any()


def test_no_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        spectrogram_png(np.zeros(0, np.float32))


def test_flac_keeps_the_sound_and_its_rate() -> None:
    samples, rate = soundfile.read(io.BytesIO(media.flac(tone(440))))
    assert rate == SAMPLE_RATE
    assert np.allclose(samples, tone(440), atol=1e-4)


def test_flac_clips_what_is_too_loud() -> None:
    samples, _ = soundfile.read(io.BytesIO(media.flac(tone(440) * 9)))
    assert samples.max() > 0.99


def test_a_long_sound_is_cut() -> None:
    assert media.audible(noise(20)).size == media.MAX_SOUND_SECONDS * SAMPLE_RATE


def test_a_large_picture_is_reduced_and_keeps_its_shape() -> None:
    picture = media.picture(jpeg(1920, 1080))
    assert picture is not None
    assert (picture.width, picture.height) == (640, 360)
    content = base64.b64decode(picture.uri.removeprefix("data:image/jpeg;base64,"))
    assert opened(content).size == (640, 360)


def test_a_small_picture_is_not_enlarged() -> None:
    picture = media.picture(jpeg(64, 48))
    assert picture is not None
    assert (picture.width, picture.height) == (64, 48)


def test_metadata_of_a_picture_is_not_passed_on() -> None:
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "a private note"
    Image.new("RGB", (32, 32)).save(out, "JPEG", exif=exif)
    assert b"a private note" in out.getvalue()
    picture = media.picture(out.getvalue())
    assert picture is not None
    assert b"a private note" not in base64.b64decode(re.sub("^.*,", "", picture.uri))


@pytest.mark.parametrize("content", [None, b"", b"not an image", jpeg()[:200]])
def test_what_is_not_a_picture_is_left_out(content: bytes | None) -> None:
    assert media.picture(content) is None
