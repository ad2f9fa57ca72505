from __future__ import annotations

import struct

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.media.builders import FLAC, OGG, WAV, image, l16, sound, tone
from worker.core.events import ContentType
from worker.errors import InvalidEventError, Reason
from worker.media.audio import check_audio, decode_audio
from worker.media.limits import Limits

LIMITS = Limits()
CODECS = [
    (WAV, "WAV", "PCM_16"),
    (WAV, "WAV", "PCM_U8"),
    (WAV, "WAV", "PCM_24"),
    (WAV, "WAV", "FLOAT"),
    (WAV, "WAV", "ULAW"),
    (FLAC, "FLAC", "PCM_16"),
    (OGG, "OGG", "VORBIS"),
    (OGG, "OGG", "OPUS"),
]


def refusal(payload: bytes, content_type: ContentType, limits: Limits = LIMITS) -> Reason:
    with pytest.raises(InvalidEventError) as caught:
        decode_audio(payload, content_type, limits)
    return caught.value.reason


def with_sizes(wav: bytes, riff: int, data: int) -> bytes:
    changed = bytearray(wav)
    struct.pack_into("<I", changed, 4, riff)
    struct.pack_into("<I", changed, wav.index(b"data") + 4, data)
    return bytes(changed)


def flac_with_frames(flac: bytes, frames: int) -> bytes:
    """Write the 36 bits of the stream's length (bytes 13 to 17 of STREAMINFO)."""
    changed = bytearray(flac)
    changed[21] = changed[21] & 0xF0 | frames >> 32
    struct.pack_into(">I", changed, 22, frames & 0xFFFFFFFF)
    return bytes(changed)


def correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.corrcoef(a, b)[0, 1])


@pytest.mark.parametrize(("content_type", "form", "codec"), CODECS)
def test_a_decoded_clip_sounds_like_its_source(
    content_type: ContentType, form: str, codec: str
) -> None:
    decoded = decode_audio(sound(form, codec), content_type, LIMITS)
    assert decoded.dtype == np.float32
    assert len(decoded) == len(tone())
    assert correlation(decoded, tone()) > 0.99


def test_l16_is_big_endian() -> None:
    samples = np.array([0, 256, -32768, 32767], ">i2")
    decoded = decode_audio(samples.tobytes(), l16(), LIMITS)
    assert decoded == pytest.approx([0, 1 / 128, -1, 32767 / 32768])


def test_channels_are_averaged() -> None:
    stereo = np.array([[8192, 16384]] * 4, ">i2")
    assert decode_audio(stereo.tobytes(), l16(channels="2"), LIMITS) == pytest.approx(0.375)
    both = np.stack([tone(), -tone()], axis=1)
    assert np.abs(decode_audio(sound("WAV", "FLOAT", both), WAV, LIMITS)).max() < 1e-6


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 191_999])
def test_any_rate_becomes_16_khz_with_the_same_pitch_and_loudness(rate: int) -> None:
    decoded = decode_audio(sound("WAV", "FLOAT", tone(0.5, rate), rate), WAV, LIMITS)
    assert len(decoded) == pytest.approx(8_000, abs=1)
    assert np.abs(decoded - tone()[: len(decoded)])[100:-100].max() < 0.01


def test_resampling_removes_what_the_lower_rate_cannot_hold() -> None:
    high = sound("WAV", "FLOAT", tone(0.5, 48_000, 12_000.0), 48_000)
    assert np.abs(decode_audio(high, WAV, LIMITS))[200:-200].max() < 0.01


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_shortest_clips_can_be_resampled(count: int) -> None:
    clip = sound("WAV", "FLOAT", np.ones(count, np.float32), 191_999)
    assert len(decode_audio(clip, WAV, LIMITS)) == 1


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_wav_stream_without_a_size_is_read_to_its_end(size: int) -> None:
    streamed = with_sizes(sound("WAV", "PCM_16"), size, size)
    assert check_audio(streamed, WAV, LIMITS).frames == len(tone())
    assert len(decode_audio(streamed, WAV, LIMITS)) == len(tone())


def test_a_wav_that_claims_more_than_is_there_is_refused() -> None:
    payload = sound("WAV", "PCM_16")
    data = len(payload) - payload.index(b"data") - 8
    assert refusal(with_sizes(payload, 0, data + 1), WAV) is Reason.UNDECODABLE_AUDIO
    assert refusal(with_sizes(payload, len(payload), data), WAV) is Reason.UNDECODABLE_AUDIO
    assert refusal(payload[:-2], WAV) is Reason.UNDECODABLE_AUDIO


def test_a_flac_stream_without_a_length_is_read_to_its_end() -> None:
    streamed = flac_with_frames(sound("FLAC", "PCM_16"), 0)
    assert check_audio(streamed, FLAC, LIMITS).frames is None
    assert len(decode_audio(streamed, FLAC, LIMITS)) == len(tone())


def test_a_flac_that_claims_more_than_is_there_is_refused() -> None:
    lying = flac_with_frames(sound("FLAC", "PCM_16"), len(tone()) + 1)
    assert refusal(lying, FLAC) is Reason.UNDECODABLE_AUDIO


def test_a_flac_stream_that_is_longer_than_the_limit_is_stopped_on_the_way() -> None:
    silence = flac_with_frames(sound("FLAC", "PCM_16", np.zeros(1_000_000)), 0)
    assert refusal(silence, FLAC, Limits(max_audio_seconds=10)) is Reason.AUDIO_TOO_LONG


@pytest.mark.parametrize(("content_type", "form", "codec"), CODECS)
def test_the_limit_itself_is_accepted_and_more_is_too_long_by_the_header(
    content_type: ContentType, form: str, codec: str
) -> None:
    payload = sound(form, codec)
    assert check_audio(payload, content_type, Limits(max_audio_seconds=0.5)).rate > 0
    with pytest.raises(InvalidEventError) as caught:
        check_audio(payload, content_type, Limits(max_audio_seconds=0.49))
    assert caught.value.reason is Reason.AUDIO_TOO_LONG


def test_raw_samples_have_the_same_limit() -> None:
    assert refusal(bytes(32_002), l16(), Limits(max_audio_seconds=1)) is Reason.AUDIO_TOO_LONG
    assert len(decode_audio(bytes(32_000), l16(), Limits(max_audio_seconds=1))) == 16_000


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_numbers_are_refused(value: float) -> None:
    samples = tone()
    samples[100] = value
    assert refusal(sound("WAV", "FLOAT", samples), WAV) is Reason.UNDECODABLE_AUDIO


def test_samples_beyond_full_scale_are_clipped() -> None:
    loud = sound("WAV", "FLOAT", np.array([1e30, -1e30, 0.5]))
    assert decode_audio(loud, WAV, LIMITS).tolist() == [1.0, -1.0, 0.5]


@pytest.mark.parametrize(
    ("payload", "content_type"),
    [
        (b"", WAV),
        (b"RIFF\0\0\0\0WAVE", WAV),
        (b"", l16()),
        (b"abc", l16()),
        (b"abcdef", l16(channels="2")),
        (bytes(8), l16(rate="0")),
        (bytes(8), l16(rate="1000000")),
        (bytes(8), l16(rate="-16000")),
        (bytes(8), l16(rate="\u0661\u0666\u0660\u0660\u0660")),
        (bytes(8), l16(channels="0")),
        (bytes(36), l16(channels="9")),
        (bytes(8), ContentType("audio/l16")),
        (sound("WAV", "PCM_16", np.zeros(0)), WAV),
        (sound("WAV", "PCM_16"), FLAC),
        (sound("FLAC", "PCM_16"), WAV),
        (sound("OGG", "VORBIS"), FLAC),
        (sound("WAV", "IMA_ADPCM"), WAV),
        (sound("WAV", "PCM_16", np.zeros((100, 9))), WAV),
        (sound("WAV", "PCM_16", rate=1_000), WAV),
        (image("PNG"), OGG),
    ],
)
def test_what_is_not_an_accepted_clip_is_undecodable(
    payload: bytes, content_type: ContentType
) -> None:
    assert refusal(payload, content_type) is Reason.UNDECODABLE_AUDIO


@pytest.mark.parametrize(("content_type", "form", "codec"), CODECS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.98])
def test_a_truncated_clip_is_refused(
    content_type: ContentType, form: str, codec: str, share: float
) -> None:
    payload = sound(form, codec, tone(2.0))
    assert refusal(payload[: int(share * len(payload))], content_type) is Reason.UNDECODABLE_AUDIO


def test_a_signalling_nan_is_refused_without_a_warning() -> None:
    payload = bytearray(sound("WAV", "FLOAT"))
    struct.pack_into("<I", payload, len(payload) - 400, 0x7F800001)
    assert refusal(bytes(payload), WAV) is Reason.UNDECODABLE_AUDIO
