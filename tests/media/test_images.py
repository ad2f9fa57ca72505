from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.media.builders import JPEG, PNG, WEBP, gradient, image
from worker.core.events import ContentType
from worker.errors import InvalidEventError, Reason
from worker.media.images import check_image, decode_image, resize_square, thumbnail
from worker.media.limits import Limits

FORMATS = [(JPEG, "JPEG"), (PNG, "PNG"), (WEBP, "WEBP")]
LIMITS = Limits()


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png_of_size(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", b"")
        + png_chunk(b"IEND", b"")
    )


def refusal(payload: bytes, content_type: ContentType, limits: Limits = LIMITS) -> Reason:
    with pytest.raises(InvalidEventError) as caught:
        decode_image(payload, content_type, limits)
    return caught.value.reason


@pytest.mark.parametrize(("content_type", "form"), FORMATS)
def test_the_header_gives_width_and_height(content_type: ContentType, form: str) -> None:
    assert check_image(image(form, 301, 200), content_type, LIMITS) == (301, 200)


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 50}, {"exact": True}])
def test_every_kind_of_webp_header_is_read(options: dict[str, object]) -> None:
    for mode in ("RGB", "RGBA"):
        stream = io.BytesIO()
        Image.fromarray(gradient(33, 70)).convert(mode).save(stream, "WEBP", **options)
        assert check_image(stream.getvalue(), WEBP, LIMITS) == (33, 70)


@pytest.mark.parametrize(("content_type", "form"), FORMATS)
def test_a_decoded_image_looks_like_its_source(content_type: ContentType, form: str) -> None:
    decoded = decode_image(image(form), content_type, LIMITS)
    assert decoded.dtype == np.uint8
    assert np.abs(decoded.astype(int) - gradient(64, 48)).mean() < 6


@pytest.mark.parametrize(("content_type", "form"), FORMATS)
@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (500, 2000), (230, 231), (100, 900)])
def test_a_large_image_is_reduced_but_not_below_the_side(
    content_type: ContentType, form: str, width: int, height: int
) -> None:
    decoded = decode_image(image(form, width, height), content_type, LIMITS)
    assert min(width, height, 224) <= min(decoded.shape[:2])
    assert min(decoded.shape[:2]) < 448
    assert decoded.shape[1] / decoded.shape[0] == pytest.approx(width / height, rel=0.02)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_jpegs_become_rgb(mode: str) -> None:
    decoded = decode_image(image("JPEG", mode=mode), JPEG, LIMITS)
    expected = np.asarray(Image.fromarray(gradient(64, 48)).convert(mode).convert("RGB"))
    assert np.abs(decoded.astype(int) - expected).mean() < 6


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1"])
def test_every_mode_of_png_becomes_rgb(mode: str) -> None:
    assert decode_image(image("PNG", mode=mode), PNG, LIMITS).shape == (48, 64, 3)


def test_sixteen_bits_of_grey_keep_their_brightness() -> None:
    stream = io.BytesIO()
    Image.fromarray(np.full((30, 30), 0x8000, np.uint16)).save(stream, "PNG")
    assert np.unique(decode_image(stream.getvalue(), PNG, LIMITS)).tolist() == [0x80]


@pytest.mark.parametrize(("content_type", "form"), FORMATS)
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.9])
def test_a_truncated_image_is_refused(content_type: ContentType, form: str, share: float) -> None:
    payload = image(form, 320, 240)
    assert refusal(payload[: int(share * len(payload))], content_type) is Reason.UNDECODABLE_IMAGE


def test_a_jpeg_without_its_end_is_refused() -> None:
    assert refusal(image("JPEG")[:-2], JPEG) is Reason.UNDECODABLE_IMAGE


@pytest.mark.parametrize(("content_type", "_"), FORMATS)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
def test_the_format_must_be_what_the_content_type_says(
    content_type: ContentType, _: str, form: str
) -> None:
    if content_type.name != f"image/{form.lower()}":
        assert refusal(image(form), content_type) is Reason.UNDECODABLE_IMAGE


@pytest.mark.parametrize(("content_type", "form"), FORMATS)
def test_as_many_pixels_as_the_limit_are_accepted_and_one_more_is_not(
    content_type: ContentType, form: str
) -> None:
    payload = image(form, 64, 48)
    assert decode_image(payload, content_type, Limits(max_pixels=64 * 48)).shape == (48, 64, 3)
    limits = Limits(max_pixels=64 * 48 - 1)
    assert refusal(payload, content_type, limits) is Reason.IMAGE_TOO_LARGE
    with pytest.raises(InvalidEventError):
        check_image(payload, content_type, limits)


def test_a_decompression_bomb_is_too_large_by_its_header() -> None:
    assert refusal(png_of_size(60_000, 60_000), PNG) is Reason.IMAGE_TOO_LARGE


def test_a_second_png_header_cannot_raise_the_size_that_was_checked() -> None:
    small, large = png_of_size(8, 8), png_of_size(9_000, 9_000)
    payload = small[:33] + large[8:]
    assert refusal(payload, PNG) is Reason.UNDECODABLE_IMAGE


def test_an_image_without_area_is_refused() -> None:
    assert refusal(png_of_size(0, 10), PNG) is Reason.UNDECODABLE_IMAGE


def test_a_square_holds_the_whole_picture() -> None:
    square = resize_square(gradient(640, 480), 224)
    assert square.shape == (224, 224, 3)
    assert square[5, 100, 1] == 200
    assert square[-5, 100, 0] == 200
    assert square[100, 0, 2] < 5
    assert square[100, -1, 2] > 250


def test_a_fine_pattern_becomes_grey_instead_of_aliasing() -> None:
    stripes = np.zeros((448, 448, 3), np.uint8)
    stripes[:, ::2] = 255
    inner = resize_square(stripes, 224)[4:-4, 4:-4].astype(int)
    assert np.abs(inner - 127).max() <= 4


def test_a_thumbnail_is_the_mean_luminance_of_each_area() -> None:
    picture = np.zeros((480, 640, 3), np.uint8)
    picture[:, :5] = 255  # half of the first column of areas
    small = thumbnail(picture)
    assert small.shape == (48, 64)
    assert abs(int(small[10, 0]) - 128) <= 1
    assert small[:, 1:].max() == 0
